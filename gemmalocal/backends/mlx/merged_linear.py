"""Linear layers with the same input as one: their weights' rows one below the other, so that one product serves all."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn


def can_merge(linears: Sequence[nn.Module]) -> bool:
    """Whether the layers are of one kind, without a bias, and quantized alike if they are."""
    kinds = {(type(linear), _quantization(linear), linear.weight.dtype) for linear in linears}
    plain = all(isinstance(linear, nn.Linear | nn.QuantizedLinear) and "bias" not in linear for linear in linears)
    return plain and len(kinds) == 1


def merge(linears: Sequence[nn.Module]) -> nn.Module:
    """One layer with the rows of all; the only one of a single layer is itself."""
    if len(linears) == 1:
        return linears[0]
    merged = linears[0]  # which keeps how it is quantized
    for name in ("weight", "scales", "biases"):
        if name in merged:
            joined = mx.concatenate([linear[name] for linear in linears])
            mx.eval(joined)
            merged[name] = joined
    return merged


def _quantization(linear: nn.Module) -> tuple[int, int, str] | None:
    if not isinstance(linear, nn.QuantizedLinear):
        return None
    return linear.group_size, linear.bits, str(getattr(linear, "mode", "affine"))
