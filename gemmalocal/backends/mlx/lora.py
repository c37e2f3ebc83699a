"""LoRA on MLX's linear layers (https://arxiv.org/abs/2106.09685), with dropout that can be computed twice."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn

from gemmalocal.backends import lora_init
from gemmalocal.recipe.schema import LoraSpec


def linear_shape(linear: nn.Module) -> tuple[int, int]:
    """Outputs and inputs of a linear layer, quantized (then its weights are packed in 32-bit words) or not."""
    rows, columns = linear.weight.shape
    return rows, columns * 32 // linear.bits if isinstance(linear, nn.QuantizedLinear) else columns


class LoraLinear(nn.Module):
    """A frozen linear layer plus `scale * B A x`; `lora_a` (rank, in) and `lora_b` (out, rank) are float32.

    The dropout key is set from outside: gradient checkpointing runs a layer twice and must meet the same mask, which a
    global random state would not give it.
    """

    def __init__(self, linear: nn.Module, scale: float, dropout: float, lora_a: mx.array) -> None:
        super().__init__()
        self.linear = linear
        self.lora_a = lora_a
        self.lora_b = mx.zeros((linear.weight.shape[0], len(lora_a)))
        self.scale, self._dropout = scale, dropout
        self._dropout_key: mx.array | None = None

    def set_dropout_key(self, key: mx.array | None) -> None:
        """Draw the dropout mask by `key` from now on; None switches dropout off."""
        self._dropout_key = key

    def __call__(self, x: mx.array) -> mx.array:
        """(..., in) to (..., out), in the dtype of `x`."""
        lora_input = x
        if self._dropout and self._dropout_key is not None:
            kept = mx.random.bernoulli(1 - self._dropout, x.shape, key=self._dropout_key)
            lora_input = mx.where(kept, x / (1 - self._dropout), 0)
        low_rank = (lora_input @ self.lora_a.T) * self.scale  # (..., rank): scaled where it is smallest
        return self.linear(x) + (low_rank @ self.lora_b.T).astype(x.dtype)


class DoraLinear(LoraLinear):
    """The direction of each row of `W + scale * B A` from LoRA, its length, `magnitude` (out,), trained by itself.

    DoRA, https://arxiv.org/abs/2402.09353; the norm is a constant to the gradient, as in its section 4.3.
    """

    def __init__(self, linear: nn.Module, scale: float, dropout: float, lora_a: mx.array) -> None:
        super().__init__(linear, scale, dropout, lora_a)
        weight = linear.weight
        if isinstance(linear, nn.QuantizedLinear):
            weight = mx.dequantize(weight, linear.scales, linear.biases, linear.group_size, linear.bits)
        self._squared_norm = mx.sum(mx.square(weight.astype(mx.float32)), axis=1)  # of the rows of W, (out,)
        self.magnitude = mx.sqrt(self._squared_norm)
        mx.eval(self.magnitude)

    def _norm(self) -> mx.array:
        """Lengths of the rows of `W + scale * B A` (out,), without making it: the product with A suffices.

        |w + s b A|^2 = |w|^2 + 2 s (W A^T) . b + s^2 b (A A^T) b^T, for each row w of W and b of B.
        """
        dtype = self.linear.scales.dtype if "scales" in self.linear else mx.float32  # a quantized layer takes no other
        projected = self.linear(self.lora_a.astype(dtype))  # A W^T, (rank, out)
        mixed = mx.sum(self.lora_b * projected.T.astype(mx.float32), axis=1)
        adapter = mx.sum((self.lora_b @ (self.lora_a @ self.lora_a.T)) * self.lora_b, axis=1)
        return mx.stop_gradient(mx.sqrt(self._squared_norm + 2 * self.scale * mixed + self.scale**2 * adapter))

    def output_scale(self) -> mx.array:
        """What each output is multiplied by (out,)."""
        return self.magnitude / self._norm()

    def __call__(self, x: mx.array) -> mx.array:
        """(..., in) to (..., out), in the dtype of `x`."""
        return super().__call__(x) * self.output_scale().astype(x.dtype)


def attach_lora(layers: dict[int, Any], spec: LoraSpec, seed: int, dora: bool) -> list[LoraLinear]:
    """Replace the target projections of the numbered transformer layers by adapted ones and return these, in order."""
    adapters: list[LoraLinear] = []
    adapter_class = DoraLinear if dora else LoraLinear
    for index, layer in layers.items():
        for block_name in ("self_attn", "mlp"):
            block = layer[block_name]
            for name in spec.target_modules:
                if name in block:
                    path = f"model.layers.{index}.{block_name}.{name}"
                    lora_a = mx.array(lora_init.lora_a(path, spec.rank, linear_shape(block[name])[1], seed))
                    adapters.append(adapter_class(block[name], spec.alpha / spec.rank, spec.dropout, lora_a))
                    block[name] = adapters[-1]
    return adapters
