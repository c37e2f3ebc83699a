"""Cheaper elementwise work for MLX's CPU build, which has no fused kernels and slow `tanh`, `pow` and `rope`.

Metal needs none of it.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx_lm.models import gemma2, gemma3_text, gemma4_text

from gemmalocal.backends.mlx.mlx_lm_fixes import TanhMLP
from gemmalocal.backends.mlx.recompute import recompute_in_blocks
from gemmalocal.planning.memory import LONG

# gelu(x) = x / 2 * (1 + tanh(GELU_LINEAR * x + GELU_CUBIC * x^3))
GELU_LINEAR = math.sqrt(2 / math.pi)
GELU_CUBIC = 0.044715 * GELU_LINEAR

# tanh(x) as x P(x^2) / Q(x^2) for |x| up to TANH_LIMIT, highest power first: a minimax fit, off by at most 4e-7 in
# float32. P's first coefficient is 1, and is not multiplied with.
TANH_LIMIT = 7.9
TANH_P = (1.0, 256.721646, 11216.2613, 86716.3824)
TANH_Q = (0.0216144865, 20.8129886, 2068.54041, 40121.6335, 86716.3938)


def tanh(x: mx.array) -> mx.array:
    """A sixth of the time of `mx.tanh` on the CPU; same shape, float32."""
    x = mx.clip(x, -TANH_LIMIT, TANH_LIMIT)
    square = x * x
    # Horner's scheme: one multiplication and one addition a coefficient.
    numerator, denominator = square + TANH_P[1], square * TANH_Q[0] + TANH_Q[1]
    for coefficient in TANH_P[2:]:
        numerator = numerator * square + coefficient
    for coefficient in TANH_Q[2:]:
        denominator = denominator * square + coefficient
    return x * numerator / denominator


@mx.custom_function
def geglu(gate: mx.array, up: mx.array) -> Any:
    """`gelu(gate) * up` in the tanh approximation (https://arxiv.org/abs/1606.08415), and the tanh for the vjp."""
    curve = tanh(gate * (GELU_LINEAR + GELU_CUBIC * (gate * gate)))
    return (0.5 * gate) * (1 + curve) * up, curve


@geglu.vjp  # type: ignore[untyped-decorator]
def _geglu_vjp(primals: Any, cotangents: Any, outputs: Any) -> tuple[mx.array, mx.array]:
    (gate, up), (cotangent, _), (_, curve) = primals, cotangents, outputs
    half = 0.5 * (1 + curve)  # gelu(gate) is gate * half
    derivative = half + (0.5 * gate) * (1 - curve * curve) * (GELU_LINEAR + 3 * GELU_CUBIC * (gate * gate))
    return cotangent * up * derivative, cotangent * (gate * half)


def _fast_mlp(plain: type[Any]) -> type[Any]:
    """A feed-forward block of Gemma's with `geglu`: (..., width) to (..., width)."""

    def forward(self: Any, x: mx.array) -> mx.array:
        gate, up = self.gate_proj(x), self.up_proj(x)
        if x.shape[-2] > LONG:
            return recompute_in_blocks(_geglu_down, self.down_proj, gate, up)
        return _geglu_down(self.down_proj, gate, up)

    return type(f"Fast{plain.__name__}", (plain,), {"__call__": forward})


def _geglu_down(down_proj: Any, gate: mx.array, up: mx.array) -> mx.array:
    return cast(mx.array, down_proj(cast(Any, geglu)(gate, up)[0]))


FAST_MLPS = {plain: _fast_mlp(plain) for plain in (TanhMLP, gemma2.MLP, gemma3_text.MLP, gemma4_text.MLP)}


class TableRope(nn.RoPE):
    """Rotary positions (https://arxiv.org/abs/2104.09864) from a table; MLX's own for all but whole float32 rows."""

    def __call__(self, x: mx.array, offset: int | mx.array = 0) -> mx.array:
        """(..., length, dims) to the same; an array has the offset of each row."""
        *_, length, dims = x.shape
        if isinstance(offset, mx.array) or offset or self.traditional or dims != self.dims or x.dtype != mx.float32:
            return super().__call__(x, offset)
        # The table is made for lengths up to a power of two, so that few are kept.
        cosine, sine = (table[:length] for table in _angles(dims, self.base, self.scale, 1 << length.bit_length()))
        # (..., length, 2, dims / 2): dimension i turns with dimension i + dims / 2, whose sine has the other sign.
        halves = x.reshape(*x.shape[:-1], 2, dims // 2)
        return (halves * cosine + halves[..., ::-1, :] * sine).reshape(x.shape)


@lru_cache(maxsize=32)
def _angles(dims: int, base: float, scale: float, length: int) -> tuple[mx.array, mx.array]:
    """Cosine and signed sine (length, 2, dims / 2): what a half is multiplied with, and what the other half is."""
    frequencies = base ** (-np.arange(0, dims, 2) / dims)
    angles = np.arange(length)[:, None] * scale * frequencies
    cosine = np.stack([np.cos(angles)] * 2, 1)
    sine = np.stack([-np.sin(angles), np.sin(angles)], 1)
    return mx.array(cosine.astype(np.float32)), mx.array(sine.astype(np.float32))


def use_fast_blocks(layers: list[Any]) -> None:
    """Give the layers of this one model the fast blocks; the classes of mlx-lm stay as they are."""
    for layer in layers:
        if type(layer.mlp) in FAST_MLPS:
            layer.mlp.__class__ = FAST_MLPS[type(layer.mlp)]
        if type(layer.self_attn.rope) is nn.RoPE:
            layer.self_attn.rope.__class__ = TableRope
