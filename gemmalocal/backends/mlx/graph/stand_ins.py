"""One operation where Metal has one kernel and MLX's CPU build spells out a dozen.

Norms, rotary positions and the attention of few queries are such. While a graph is only built, each is a running
maximum, minimum, product or sum of exponentials, which no Gemma uses: of the same shapes, types and inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import mlx.core as mx

from gemmalocal.backends.mlx.graph.recording import replaced

# What the operations are called in a graph, and what they stand for.
KERNELS = {
    "CumMax": "RMSNorm",
    "CumMin": "RMSNormVJP",
    "CumProd": "RoPE",
    "CumLogAddExp": "ScaledDotProductAttention",
}
FUSED_QUERIES = 8  # at most, of one answer at a time
FUSED_DIMS = (64, 96, 128, 256)
_spelled_out = mx.fast.scaled_dot_product_attention


@contextmanager
def as_kernels() -> Iterator[None]:
    """Graphs that are built meanwhile have the stand-ins."""
    with (
        replaced(mx.fast, "rms_norm", _rms_norm),
        replaced(mx.fast, "rope", _rope),
        replaced(mx.fast, "scaled_dot_product_attention", _attention),
    ):
        yield


def _rms_norm(x: mx.array, weight: mx.array | None, eps: float, *, stream: Any = None) -> mx.array:
    if weight is None:
        return cast(mx.array, _plain_norm(x))
    dtype = mx.result_type(x, weight)
    return cast(mx.array, _weighted_norm(x.astype(dtype), weight.astype(dtype)))


@mx.custom_function
def _plain_norm(x: mx.array) -> mx.array:
    return mx.cummax(x, axis=-1)


@_plain_norm.vjp  # type: ignore[untyped-decorator]
def _plain_norm_vjp(x: mx.array, cotangent: mx.array, output: mx.array) -> mx.array:
    return mx.cummin(mx.depends([x], [cotangent])[0], axis=-1)


@mx.custom_function
def _weighted_norm(x: mx.array, weight: mx.array) -> mx.array:
    return mx.cummax(mx.depends([x], [weight])[0], axis=-1)


@_weighted_norm.vjp  # type: ignore[untyped-decorator]
def _weighted_norm_vjp(primals: Any, cotangent: mx.array, output: mx.array) -> tuple[mx.array, mx.array]:
    x, weight = primals
    gradient = mx.cummin(mx.depends([x], [weight, cotangent])[0], axis=-1)
    return gradient, mx.depends([weight], [gradient])[0]  # one kernel gives both


def _rope(
    a: mx.array,
    dims: int,
    *,
    traditional: bool,
    base: float | None,
    scale: float,
    offset: int | mx.array,
    freqs: mx.array | None = None,
    stream: Any = None,
) -> mx.array:
    others = [value for value in (offset, freqs) if isinstance(value, mx.array)]

    def turned(x: mx.array) -> mx.array:
        return mx.cumprod(mx.depends([x], others)[0] if others else x, axis=-1)

    rope = mx.custom_function(turned)
    rope.vjp(lambda x, cotangent, output: turned(cotangent))
    return cast(mx.array, rope(a))


def _attention(
    q: mx.array, k: mx.array, v: mx.array, *, scale: float, mask: mx.array | str | None = None, **others: Any
) -> mx.array:
    """Metal's kernel takes few queries, and never while a gradient is traced; so training has many."""
    if q.shape[2] > FUSED_QUERIES or q.shape[-1] not in FUSED_DIMS or v.shape[-1] != q.shape[-1]:
        return _spelled_out(q, k, v, scale=scale, mask=mask, **others)
    masks = [mask] if isinstance(mask, mx.array) else []
    return mx.logcumsumexp(mx.depends([q], [k, v, *masks])[0], axis=-1)
