"""Cheaper elementwise work for MLX's CPU build, which has slow `tanh`, `pow` and `rope`; a GPU needs none of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

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


def use_rope_tables(layers: list[Any]) -> None:
    """Give the layers of this one model rope by tables; the classes of mlx-lm stay as they are."""
    for layer in layers:
        if type(layer.self_attn.rope) is nn.RoPE:
            layer.self_attn.rope.__class__ = TableRope
