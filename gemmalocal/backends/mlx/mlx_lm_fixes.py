"""Where mlx-lm's Gemmas compute something else than the published models, and the mending of one loaded model."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models import gemma

REFUSED = {
    "gemma3n": "mlx-lm's Gemma 3n computes other logits in training than with a cache, when it answers: what it"
    " learned would not be what it says"
}


class TanhMLP(gemma.MLP):  # type: ignore[misc]
    """Gemma 1's feed-forward block with the GELU that it was trained with, by tanh; mlx-lm's is exact."""

    def __call__(self, x: mx.array) -> mx.array:
        """(..., width) to (..., width)."""
        found: mx.array = self.down_proj(nn.gelu_approx(self.gate_proj(x)) * self.up_proj(x))
        return found


def mend(text: Any, family: str) -> None:
    """Change the objects of this one text model; the classes of mlx-lm stay as they are."""
    if family == "gemma":
        for layer in text.model.layers:
            layer.mlp.__class__ = TanhMLP
    if family.startswith("gemma3"):
        _exact_scale(text.model.embed_tokens, text.args.hidden_size)


def _exact_scale(embedding: Any, width: int) -> None:
    """Gemma 3 scales its embedding by sqrt(width) in the weights' type; mlx-lm rounds that to bfloat16 always."""
    rounded = mx.array(math.sqrt(width), mx.bfloat16).astype(mx.float32).item()
    factor = math.sqrt(width) / float(rounded)  # type: ignore[arg-type]
    plain = type(embedding)

    def call(self: Any, ids: mx.array) -> mx.array:
        states: mx.array = plain.__call__(self, ids)
        return states * factor if states.dtype == mx.float32 else states

    embedding.__class__ = type(f"Scaled{plain.__name__}", (plain,), {"__call__": call})
