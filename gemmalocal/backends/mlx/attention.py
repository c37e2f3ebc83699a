"""Exact attention for long rows, `CHUNK` queries at a time, that keeps no scores for the backward pass.

mlx-lm's models hold the scores of a row against itself: heads x length x length, in every layer, until the gradient
has used them (on Metal its fused kernel avoids that for causal masks, not for the mask of a sliding window). Here a
chunk of queries meets only the keys that it can see, and its scores are computed again in the backward pass
(https://arxiv.org/abs/2112.05682). Memory grows linearly with the row; so does work under a sliding window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, partial
from itertools import accumulate
from types import FunctionType
from typing import Any, NamedTuple, cast

import mlx.core as mx
from mlx_lm.models import base, gemma2

from gemmalocal.backends.mlx import device
from gemmalocal.backends.mlx.recompute import after
from gemmalocal.planning.memory import LONG

CHUNK = 256  # queries at once
GEMMA2_WINDOW = 4096  # where its config.json does not say; transformers' default
CORE = "scaled_dot_product_attention"  # what mlx-lm's attention layers call for it
_apart: ContextVar[tuple[int, ...]] = ContextVar("_apart", default=())  # lengths of the segments of packed rows


@contextmanager
def segments(lengths: tuple[int, ...]) -> Iterator[None]:
    """While a pass is built: a token attends to its own segment only; () if the row is a single one."""
    token = _apart.set(lengths)
    try:
        yield
    finally:
        _apart.reset(token)


class _Span(NamedTuple):
    """Queries `start` to `end` and the keys that they see: `first` to `end`."""

    first: int
    start: int
    end: int

    def cut(self, queries: mx.array, keys: mx.array, values: mx.array) -> list[mx.array]:
        """Its parts of (batch, heads, length, dims) arrays."""
        seen = slice(self.first, self.end)
        return [queries[:, :, self.start : self.end], keys[:, :, seen], values[:, :, seen]]

    def mask(self, window: int | None) -> mx.array:
        """(queries, keys), true where a query may look."""
        rows, columns = mx.arange(self.start, self.end)[:, None], mx.arange(self.first, self.end)
        causal = rows >= columns
        return causal & (rows < columns + window) if window else causal


def attend(
    queries: mx.array,
    keys: mx.array,
    values: mx.array,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
) -> mx.array:
    """Causal attention of (batch, heads, length, dims) to (batch, key heads, length, dims), which heads may share.

    A query sees itself and the `window - 1` tokens before it, or all of them. Gemma 2 bends scores by `softcap`.
    """
    spans = list(_spans(queries.shape[2], window))

    def part(span: _Span, queries: mx.array, keys: mx.array, values: mx.array) -> mx.array:
        return _whole(queries, keys, values, scale, span.mask(window), softcap)

    @mx.custom_function
    def chunked(queries: mx.array, keys: mx.array, values: mx.array) -> mx.array:
        found: list[mx.array] = []
        for span in spans:
            found.append(part(span, *after(found[-1:], span.cut(queries, keys, values))))
        # Laid out by position: the projection that follows wants it so, and would copy it, and keep both.
        return mx.concatenate([part.swapaxes(1, 2) for part in found], axis=1).swapaxes(1, 2)

    @chunked.vjp
    def slopes(primals: tuple[mx.array, ...], cotangent: mx.array, found: mx.array) -> tuple[mx.array, ...]:
        queries, keys, values = primals
        by_queries: list[mx.array] = []
        by_keys, by_values = mx.zeros_like(keys), mx.zeros_like(values)
        before: list[mx.array] = []
        for span in spans:
            given = [*span.cut(queries, keys, values), cotangent[:, :, span.start : span.end]]
            given = after(before, given)
            _, before = mx.vjp(partial(part, span), given[:3], given[3:])
            by_queries.append(before[0])
            by_keys[:, :, span.first : span.end] += before[1]
            by_values[:, :, span.first : span.end] += before[2]
        return mx.concatenate(by_queries, axis=2), by_keys, by_values

    return cast(mx.array, chunked(queries, keys, values))


def _spans(length: int, window: int | None) -> Iterator[_Span]:
    for start in range(0, length, CHUNK):
        yield _Span(max(0, start - window) if window else 0, start, min(length, start + CHUNK))


def _whole(
    queries: mx.array, keys: mx.array, values: mx.array, scale: float, mask: mx.array, softcap: float | None
) -> mx.array:
    """Attention with all scores at once; `mask` (queries, keys) is true where a query may look."""
    if softcap is None:
        return mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, mask=mask)
    shared = mx.unflatten(queries * scale, 1, (keys.shape[1], -1))  # (batch, key heads, sharers, length, dims)
    scores = mx.tanh(shared @ keys[:, :, None].swapaxes(-1, -2) / softcap) * softcap
    scores = mx.where(mask, scores, mx.finfo(scores.dtype).min)
    return mx.flatten(mx.softmax(scores, axis=-1, precise=True) @ values[:, :, None], 1, 2)


def lengthen(text: Any, config: dict[str, Any]) -> None:
    """Let this one model, the part with the layers, attend in chunks; the classes of mlx-lm stay as they are.

    Passes with a key-value cache (generation) are untouched. `config` is the model's own.
    """
    window = getattr(text, "window_size", config.get("sliding_window", GEMMA2_WINDOW))
    for index, layer in enumerate(text.layers):
        block = layer.self_attn
        if isinstance(block, gemma2.Attention):
            block.window = window if index % 2 == 0 else None
            block.__class__ = LongGemma2
            continue
        kind: Any = type(block)
        if CORE in kind.__call__.__code__.co_names:
            block.__class__ = _long(kind, window if getattr(block, "is_sliding", False) else None)


@lru_cache(maxsize=16)
def _long(plain: Any, window: int | None) -> type:
    """A subclass of an mlx-lm attention: the same forward pass, which finds our core under the name of mlx-lm's."""
    call = plain.__call__
    names = {**call.__globals__, CORE: partial(_core, window=window)}
    ours = FunctionType(call.__code__, names, call.__name__, call.__defaults__, call.__closure__)
    return type(f"Long{plain.__name__}", (plain,), {"__call__": ours})


def _core(
    queries: mx.array,
    keys: mx.array,
    values: mx.array,
    cache: Any,
    scale: float,
    mask: mx.array | str | None,
    *,
    window: int | None,
) -> mx.array:
    """mlx-lm's attention function, for the layers of `lengthen`.

    Gemma 4's last layers have no cache of their own in generation either: a batch's mask (4 axes) tells, or the keys.
    """
    if cache is None and _apart.get():
        return _by_segment(partial(_core, cache=None, scale=scale, mask="causal", window=window), queries, keys, values)
    length = queries.shape[2]
    batch = isinstance(mask, mx.array) and mask.ndim > 2
    if cache is None and not batch and length == keys.shape[2]:
        if window and length > window:
            return attend(queries, keys, values, scale, window)
        if isinstance(mask, str) and length > LONG and device.on_cpu():
            return attend(queries, keys, values, scale)
    return base.scaled_dot_product_attention(queries, keys, values, cache=cache, scale=scale, mask=mask)


def _by_segment(attend: Callable[..., mx.array], *parts: mx.array) -> mx.array:
    """`attend` each segment of (batch, heads, length, dims) arrays alone."""
    borders = list(accumulate(_apart.get() or parts[0].shape[2:3]))[:-1]
    with segments(()):
        found = [attend(*cut) for cut in zip(*(mx.split(part, borders, axis=2) for part in parts), strict=True)]
    return mx.concatenate(found, axis=2)


class LongGemma2(gemma2.Attention):
    """Gemma 2's attention: softcapped, so never fused; every other layer slides, which mlx-lm leaves out.

    Up to `window` (4096) tokens that makes no difference; beyond, this is what transformers computes.
    """

    window: int | None

    def __call__(self, x: mx.array, mask: mx.array | None = None, cache: Any = None) -> mx.array:
        """(batch, length, width) to the same."""
        length = x.shape[1]
        if cache is not None:
            return super().__call__(x, self._cached(mask, length), cache)
        if not _apart.get() and length <= min(LONG, self.window or LONG):
            return super().__call__(x, mask)
        queries, keys, values = (
            mx.unflatten(project(x), -1, (-1, self.head_dim)).swapaxes(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )

        def core(queries: mx.array, keys: mx.array, values: mx.array) -> mx.array:
            return attend(queries, keys, values, self.scale, self.window, self.attn_logit_softcapping)

        found = _by_segment(core, self.rope(queries), self.rope(keys), values)
        return self.o_proj(found.swapaxes(1, 2).flatten(-2))

    def _cached(self, mask: mx.array | None, length: int) -> mx.array | None:
        """The mask (..., queries, keys) of the last `length` keys' queries, without what has left the window.

        That of a batch has an axis more in front, beside that of the heads that share keys.
        """
        if mask is None:
            return None
        keys = mask.shape[-1]
        if self.window and keys > self.window:
            rows = mx.arange(keys - length, keys)[:, None]
            mask = mask & (mx.arange(keys) > rows - self.window)
        return mask[:, None] if mask.ndim == 4 and self.repeats > 1 else mask
