"""LoRA on MLX's linear layers (https://arxiv.org/abs/2106.09685), with dropout that can be computed twice."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import mlx.nn as nn


class LoraLinear(nn.Module):
    """A frozen linear layer plus `scale * B A x`; `lora_a` (rank, in) and `lora_b` (out, rank) are float32.

    The dropout key is set from outside (`draw`): gradient checkpointing runs a layer twice and must meet the same
    mask, which a global random state would not give it.
    """

    def __init__(self, linear: nn.Module, rank: int, scale: float, dropout: float, key: mx.array) -> None:
        super().__init__()
        rows, columns = linear.weight.shape
        if isinstance(linear, nn.QuantizedLinear):
            columns = columns * 32 // linear.bits
        bound = 1 / math.sqrt(columns)  # PEFT's and torch's start: kaiming uniform with a = sqrt(5)
        self.linear = linear
        self.lora_a = mx.random.uniform(-bound, bound, (rank, columns), key=key)
        self.lora_b = mx.zeros((rows, rank))
        self._scale, self._dropout = scale, dropout
        self._key: mx.array | None = None

    def draw(self, key: mx.array | None) -> None:
        """Use `key` for dropout from now on; None switches dropout off."""
        self._key = key

    def __call__(self, x: mx.array) -> mx.array:
        """(..., in) to (..., out), in the dtype of `x`."""
        inner = x
        if self._dropout and self._key is not None:
            kept = mx.random.bernoulli(1 - self._dropout, x.shape, key=self._key)
            inner = mx.where(kept, x / (1 - self._dropout), 0)
        low = (inner @ self.lora_a.T) * self._scale
        return self.linear(x) + (low @ self.lora_b.T).astype(x.dtype)


def attach(
    layers: list[Any], targets: list[str], rank: int, alpha: float, dropout: float, seed: int
) -> list[LoraLinear]:
    """Replace the target projections of transformer layers by LoRA ones and return these, in order."""
    made: list[LoraLinear] = []
    key = mx.random.key(seed)
    for layer in layers:
        for block in (layer.self_attn, layer.mlp):
            for name in targets:
                if name in block:
                    key, own = mx.random.split(key)
                    made.append(LoraLinear(block[name], rank, alpha / rank, dropout, own))
                    block[name] = made[-1]
    return made
