"""Cheaper elementwise work for MLX's CPU build, which has no fused kernels and a slow `pow`. Metal needs none of it."""

from __future__ import annotations

import math
from typing import Any, cast

import mlx.core as mx
from mlx_lm.models import gemma3_text

RATE = math.sqrt(2 / math.pi)
CUBIC = 0.044715 * RATE


@mx.custom_function
def geglu(gate: mx.array, up: mx.array) -> Any:
    """`gelu(gate) * up` in the tanh approximation (https://arxiv.org/abs/1606.08415), and the tanh for the vjp."""
    curve = mx.tanh(gate * (RATE + CUBIC * (gate * gate)))
    return (0.5 * gate) * (1 + curve) * up, curve


@geglu.vjp  # type: ignore[untyped-decorator]
def _geglu_vjp(primals: Any, cotangents: Any, outputs: Any) -> tuple[mx.array, mx.array]:
    (gate, up), (cotangent, _), (_, curve) = primals, cotangents, outputs
    half = 0.5 * (1 + curve)
    slope = half + (0.5 * gate) * (1 - curve * curve) * (RATE + 3 * CUBIC * (gate * gate))
    return cotangent * up * slope, cotangent * (gate * half)


class QuickMLP(gemma3_text.MLP):  # type: ignore[misc]
    """Gemma 3's feed-forward block with `geglu`."""

    def __call__(self, x: mx.array) -> mx.array:
        """(..., width) to (..., width)."""
        return self.down_proj(cast(Any, geglu)(self.gate_proj(x), self.up_proj(x))[0])


def quicken(layers: list[Any]) -> None:
    """Give the layers of this one model the quick blocks; the classes of mlx-lm stay as they are."""
    for layer in layers:
        if type(layer.mlp) is gemma3_text.MLP:
            layer.mlp.__class__ = QuickMLP
