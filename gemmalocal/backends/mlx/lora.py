"""LoRA on MLX's linear layers (https://arxiv.org/abs/2106.09685), with dropout that can be computed twice."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn

from gemmalocal.backends import lora_init
from gemmalocal.recipe.schema import LoraSpec


def sizes(linear: nn.Module) -> tuple[int, int]:
    """Outputs and inputs of a linear layer, quantized or not."""
    rows, columns = linear.weight.shape
    return rows, columns * 32 // linear.bits if isinstance(linear, nn.QuantizedLinear) else columns


class LoraLinear(nn.Module):
    """A frozen linear layer plus `scale * B A x`; `lora_a` (rank, in) and `lora_b` (out, rank) are float32.

    The dropout key is set from outside (`draw`): gradient checkpointing runs a layer twice and must meet the same
    mask, which a global random state would not give it.
    """

    def __init__(self, linear: nn.Module, scale: float, dropout: float, lora_a: mx.array) -> None:
        super().__init__()
        self.linear = linear
        self.lora_a = lora_a
        self.lora_b = mx.zeros((linear.weight.shape[0], len(lora_a)))
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

    def __init__(self, linear: nn.Module, scale: float, dropout: float, lora_a: mx.array) -> None:
        super().__init__(linear, scale, dropout, lora_a)
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


def attach(layers: dict[int, Any], spec: LoraSpec, seed: int, dora: bool) -> list[LoraLinear]:
    """Replace the target projections of the numbered transformer layers by adapted ones and return these, in order."""
    made: list[LoraLinear] = []
    kind = DoraLinear if dora else LoraLinear
    for index, layer in layers.items():
        for part in ("self_attn", "mlp"):
            block = layer[part]
            for name in spec.target_modules:
                if name in block:
                    path = f"model.layers.{index}.{part}.{name}"
                    lora_a = mx.array(lora_init.lora_a(path, spec.rank, sizes(block[name])[1], seed))
                    made.append(kind(block[name], spec.alpha / spec.rank, spec.dropout, lora_a))
                    block[name] = made[-1]
    return made
