"""LoRA on MLX's linear layers (https://arxiv.org/abs/2106.09685), with dropout that can be computed twice."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from gemmalocal.recipe import LoraSpec


def sizes(linear: nn.Module) -> tuple[int, int]:
    """Outputs and inputs of a linear layer, quantized or not."""
    rows, columns = linear.weight.shape
    return rows, columns * 32 // linear.bits if isinstance(linear, nn.QuantizedLinear) else columns


class LoraLinear(nn.Module):
    """A frozen linear layer plus `scale * B A x`; `lora_a` (rank, in) and `lora_b` (out, rank) are float32.

    The dropout key is set from outside (`draw`): gradient checkpointing runs a layer twice and must meet the same
    mask, which a global random state would not give it.
    """

    def __init__(self, linear: nn.Module, rank: int, scale: float, dropout: float, key: mx.array) -> None:
        super().__init__()
        rows, columns = sizes(linear)
        bound = 1 / math.sqrt(columns)  # PEFT's and torch's start: kaiming uniform with a = sqrt(5)
        self.linear = linear
        self.lora_a = mx.random.uniform(-bound, bound, (rank, columns), key=key)
        self.lora_b = mx.zeros((rows, rank))
        self.scale, self._dropout = scale, dropout
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
        low = (inner @ self.lora_a.T) * self.scale
        return self.linear(x) + (low @ self.lora_b.T).astype(x.dtype)


class DoraLinear(LoraLinear):
    """The direction of each row of `W + scale * B A` from LoRA, its length, `magnitude` (out,), trained by itself.

    DoRA, https://arxiv.org/abs/2402.09353; the norm is a constant to the gradient, as in its section 4.3.
    """

    def __init__(self, linear: nn.Module, rank: int, scale: float, dropout: float, key: mx.array) -> None:
        super().__init__(linear, rank, scale, dropout, key)
        weight = linear.weight
        if isinstance(linear, nn.QuantizedLinear):
            weight = mx.dequantize(weight, linear.scales, linear.biases, linear.group_size, linear.bits)
        self._square = mx.sum(mx.square(weight.astype(mx.float32)), axis=1)
        self.magnitude = mx.sqrt(self._square)
        mx.eval(self.magnitude)

    def _norm(self) -> mx.array:
        """Lengths of the rows of `W + scale * B A` (out,), without making it: the product with A suffices."""
        crossed = self.linear(self.lora_a.astype(self.linear.scales.dtype if "scales" in self.linear else mx.float32))
        mixed = mx.sum(self.lora_b * crossed.T.astype(mx.float32), axis=1)
        own = mx.sum((self.lora_b @ (self.lora_a @ self.lora_a.T)) * self.lora_b, axis=1)
        return mx.stop_gradient(mx.sqrt(self._square + 2 * self.scale * mixed + self.scale**2 * own))

    def stretch(self) -> mx.array:
        """What each output is multiplied by (out,)."""
        return self.magnitude / self._norm()

    def __call__(self, x: mx.array) -> mx.array:
        """(..., in) to (..., out), in the dtype of `x`."""
        return super().__call__(x) * self.stretch().astype(x.dtype)


def attach(layers: list[Any], spec: LoraSpec, seed: int, dora: bool) -> list[LoraLinear]:
    """Replace the target projections of transformer layers by adapted ones and return these, in order."""
    made: list[LoraLinear] = []
    key = mx.random.key(seed)
    kind = DoraLinear if dora else LoraLinear
    for layer in layers:
        for block in (layer.self_attn, layer.mlp):
            for name in spec.target_modules:
                if name in block:
                    key, own = mx.random.split(key)
                    made.append(kind(block[name], spec.rank, spec.alpha / spec.rank, spec.dropout, own))
                    block[name] = made[-1]
    return made
