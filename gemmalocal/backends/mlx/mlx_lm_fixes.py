"""Where mlx-lm's Gemmas compute something else than the published models, and the fix for one loaded model."""

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
        output: mx.array = self.down_proj(nn.gelu_approx(self.gate_proj(x)) * self.up_proj(x))
        return output


def apply_fixes(language_model: Any, family: str) -> None:
    """Change the objects of this one model; the classes of mlx-lm stay as they are."""
    if family == "gemma":
        for layer in language_model.model.layers:
            layer.mlp.__class__ = TanhMLP
    if family.startswith("gemma3"):
        _use_exact_scale(language_model.model.embed_tokens, language_model.args.hidden_size)


def _use_exact_scale(embedding: Any, width: int) -> None:
    """Gemma 3 scales its embedding by sqrt(width) in the weights' type; mlx-lm rounds that to bfloat16 always."""
    rounded = mx.array(math.sqrt(width), mx.bfloat16).astype(mx.float32).item()
    correction = math.sqrt(width) / float(rounded)  # type: ignore[arg-type]
    plain = type(embedding)

    def forward(self: Any, ids: mx.array) -> mx.array:
        states: mx.array = plain.__call__(self, ids)
        return states * correction if states.dtype == mx.float32 else states

    embedding.__class__ = type(f"Scaled{plain.__name__}", (plain,), {"__call__": forward})
