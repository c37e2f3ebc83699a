"""Exact attention for long rows, `CHUNK` queries at a time, that keeps no scores for the backward pass.

mlx-lm's models hold the scores of a row against itself: heads x length x length, in every layer, until the gradient
has used them. MLX's fused kernel for Metal does not change that: while a gradient is traced it takes head dims of 64 to
128, of Gemma's only 256, and that for causal rows of 2,048 tokens or more in half precision (on an M5 also others, and
512); everywhere else all scores are there. Here a chunk of queries meets only the keys that it can see, and its scores
are computed again in the backward pass (https://arxiv.org/abs/2112.05682; in a kernel: FlashAttention,
https://arxiv.org/abs/2205.14135), on both paths, in sliding and in global layers. Memory grows linearly with the row;
so does work under a sliding window.
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
import numpy as np
from mlx_lm.models import base, gemma2

from gemmalocal.backends.mlx import compute_path
from gemmalocal.backends.mlx.recompute import order_after
from gemmalocal.data.batches import Prefix
from gemmalocal.planning.memory import LONG

CHUNK = 256  # queries at once
GEMMA2_WINDOW = 4096  # where its config.json does not say; transformers' default
MLX_LM_ATTENTION = "scaled_dot_product_attention"  # the function that mlx-lm's attention layers call
Rope = Callable[..., mx.array]  # (..., length, dims) turned by position, of which `offset` is the first


class _Segments(NamedTuple):
    """Of the packed row: their lengths, and what stands before some of them (see `MicroBatch`); none if not packed."""

    lengths: tuple[int, ...] = ()
    prefixes: tuple[Prefix | None, ...] = ()


ONE_ROW = _Segments()
_segments: ContextVar[_Segments] = ContextVar("_segments", default=ONE_ROW)
_rope: ContextVar[Rope] = ContextVar("_rope")  # of the layer that attends


@contextmanager
def segments(lengths: tuple[int, ...], prefixes: tuple[Prefix | None, ...] = ()) -> Iterator[None]:
    """While a pass is built: a token attends to its own segment only, and to the prefix of that, if there is one.

    `lengths` is () if the row is a single segment.
    """
    token = _segments.set(_Segments(lengths, prefixes))
    try:
        yield
    finally:
        _segments.reset(token)


class _Span(NamedTuple):
    """Queries `start` to `end` and the keys that they see: `first_key` to `end`."""

    first_key: int
    start: int
    end: int

    def select(self, queries: mx.array, keys: mx.array, values: mx.array) -> list[mx.array]:
        """Its parts of (batch, heads, length, dims) arrays."""
        visible = slice(self.first_key, self.end)
        return [queries[:, :, self.start : self.end], keys[:, :, visible], values[:, :, visible]]

    def mask(self, window: int | None) -> mx.array:
        """(queries, keys), true where a query may look."""
        query_positions = mx.arange(self.start, self.end)[:, None]
        key_positions = mx.arange(self.first_key, self.end)
        causal = query_positions >= key_positions
        return causal & (query_positions < key_positions + window) if window else causal


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

    def attend_span(span: _Span, queries: mx.array, keys: mx.array, values: mx.array) -> mx.array:
        return _attend_at_once(queries, keys, values, scale, span.mask(window), softcap)

    # Each span waits for the one before it: MLX would else have the scores of all spans in memory at the same time.
    @mx.custom_function
    def forward(queries: mx.array, keys: mx.array, values: mx.array) -> mx.array:
        outputs: list[mx.array] = []
        for span in spans:
            outputs.append(attend_span(span, *order_after(span.select(queries, keys, values), outputs[-1:])))
        # Laid out by position: the projection that follows wants it so, and would copy it, and keep both.
        return mx.concatenate([output.swapaxes(1, 2) for output in outputs], axis=1).swapaxes(1, 2)

    @forward.vjp
    def backward(primals: tuple[mx.array, ...], cotangent: mx.array, output: mx.array) -> tuple[mx.array, ...]:
        queries, keys, values = primals
        query_gradients: list[mx.array] = []
        # A key is seen by several spans: its gradient is the sum over them.
        key_gradient, value_gradient = mx.zeros_like(keys), mx.zeros_like(values)
        previous = [cotangent]  # what is compiled would else keep the first span's scores from the forward pass
        for span in spans:
            operands = [*span.select(queries, keys, values), cotangent[:, :, span.start : span.end]]
            operands = order_after(operands, previous)
            _, previous = mx.vjp(partial(attend_span, span), operands[:3], operands[3:])
            query_gradients.append(previous[0])
            key_gradient[:, :, span.first_key : span.end] += previous[1]
            value_gradient[:, :, span.first_key : span.end] += previous[2]
        return mx.concatenate(query_gradients, axis=2), key_gradient, value_gradient

    return cast(mx.array, forward(queries, keys, values))


def attend_short(queries: mx.array, keys: mx.array, values: mx.array, scale: float) -> mx.array:
    """Causal attention of a short row, whose softmax is kept for the backward pass; arrays as `attend` has them.

    MLX fuses attention on a GPU, but not under a gradient; what it does then takes twice the kernels of this. Heads
    that share keys are rows of one product, so that no gradient has to be summed over them.
    """
    batch, heads, length, dims = queries.shape
    grouped = (batch, keys.shape[1], heads // keys.shape[1] * length)
    causal = _causal(length)

    @mx.custom_function
    def forward(queries: mx.array, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        scores = (queries @ keys.swapaxes(-1, -2)).reshape(batch, heads, length, length)
        scores = mx.where(causal, scores * scale, mx.finfo(scores.dtype).min)
        softmax = mx.softmax(scores, axis=-1, precise=True).reshape(*grouped, length)
        return softmax @ values, softmax

    @forward.vjp
    def backward(primals: Any, cotangents: Any, outputs: Any) -> tuple[mx.array, mx.array, mx.array]:
        (queries, keys, values), (cotangent, _), (_, softmax) = primals, cotangents, outputs
        slope = cotangent @ values.swapaxes(-1, -2)
        mean = mx.sum(softmax * slope, axis=-1, keepdims=True)
        slope = softmax * (slope - mean) * scale  # (batch, key heads, query heads of each * length, length)
        return slope @ keys, slope.swapaxes(-1, -2) @ queries, softmax.swapaxes(-1, -2) @ cotangent

    output = cast(Any, forward)(queries.reshape(*grouped, dims), keys, values)[0]
    return cast(mx.array, output.reshape(batch, heads, length, -1))


@lru_cache(maxsize=32)
def _causal(length: int) -> mx.array:
    """(length, length), true where a query may look; of no graph, so that any thread may use it."""
    return mx.array(np.tri(length, dtype=np.bool_))


def _spans(length: int, window: int | None) -> Iterator[_Span]:
    for start in range(0, length, CHUNK):
        yield _Span(max(0, start - window) if window else 0, start, min(length, start + CHUNK))


def _attend_at_once(
    queries: mx.array, keys: mx.array, values: mx.array, scale: float, mask: mx.array, softcap: float | None
) -> mx.array:
    """Attention with all scores at once; `mask` (queries, keys) is true where a query may look."""
    if softcap is None:
        return mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, mask=mask)
    # (batch, key heads, query heads of each, length, dims): those that share keys multiply them without a copy.
    grouped = mx.unflatten(queries * scale, 1, (keys.shape[1], -1))
    scores = mx.tanh(grouped @ keys[:, :, None].swapaxes(-1, -2) / softcap) * softcap
    scores = mx.where(mask, scores, mx.finfo(scores.dtype).min)
    return mx.flatten(mx.softmax(scores, axis=-1, precise=True) @ values[:, :, None], 1, 2)


def use_chunked_attention(decoder: Any, config: dict[str, Any]) -> None:
    """Let this one model, the part with the layers, attend in chunks; the classes of mlx-lm stay as they are.

    Passes with a key-value cache (generation) are untouched. `config` is the model's own.
    """
    window = getattr(decoder, "window_size", config.get("sliding_window", GEMMA2_WINDOW))
    for index, layer in enumerate(decoder.layers):
        module = layer.self_attn
        if isinstance(module, gemma2.Attention):
            module.window = window if index % 2 == 0 else None
            module.__class__ = ChunkedGemma2Attention
            continue
        plain: Any = type(module)
        if MLX_LM_ATTENTION in plain.__call__.__code__.co_names:
            module.__class__ = _chunked_class(plain, window if getattr(module, "is_sliding", False) else None)


@lru_cache(maxsize=16)
def _chunked_class(plain: Any, window: int | None) -> type:
    """A subclass of an mlx-lm attention: the same forward pass, which finds our function under the name of mlx-lm's."""
    forward = plain.__call__
    # The same code over a copy of its module's globals, of which one is another: so mlx-lm's own models keep theirs.
    namespace = {**forward.__globals__, MLX_LM_ATTENTION: partial(_chunked_attention, window=window)}
    ours = FunctionType(forward.__code__, namespace, forward.__name__, forward.__defaults__, forward.__closure__)

    def call(self: Any, *inputs: Any, **named: Any) -> Any:
        token = _rope.set(self.rope)
        try:
            return ours(self, *inputs, **named)
        finally:
            _rope.reset(token)

    return type(f"Chunked{plain.__name__}", (plain,), {"__call__": call})


def _chunked_attention(
    queries: mx.array,
    keys: mx.array,
    values: mx.array,
    cache: Any,
    scale: float,
    mask: mx.array | str | None,
    *,
    window: int | None,
) -> mx.array:
    """In place of mlx-lm's attention function, with its parameters: (batch, heads, length, dims) to the same.

    Gemma 4's last layers have no cache of their own in generation either: a batch's mask (4 axes) tells, or the keys.
    """
    if cache is None and _segments.get().lengths:
        alone = partial(_chunked_attention, cache=None, scale=scale, mask="causal", window=window)
        return _attend_by_segment(alone, _rope.get(), queries, keys, values)
    length = queries.shape[2]
    batched = isinstance(mask, mx.array) and mask.ndim > 2
    if cache is None and not batched and length == keys.shape[2]:
        if window and length > window:
            return attend(queries, keys, values, scale, window)
        if isinstance(mask, str) and length > LONG:
            return attend(queries, keys, values, scale)
        if isinstance(mask, str) and compute_path.current().compiled:
            return attend_short(queries, keys, values, scale)
    return base.scaled_dot_product_attention(queries, keys, values, cache=cache, scale=scale, mask=mask)


def _attend_by_segment(attend: Callable[..., mx.array], rope: Rope, *arrays: mx.array) -> mx.array:
    """`attend` each segment of (batch, heads, length, dims) queries, keys and values alone, behind its prefix."""
    lengths, prefixes = _segments.get()
    lengths = lengths or arrays[0].shape[2:3]
    borders = list(accumulate(lengths))
    by_segment = zip(*(mx.split(array, borders[:-1], axis=2) for array in arrays), strict=True)
    outputs = []
    with segments(()):
        for end, prefix, segment in zip(borders, prefixes or [None] * len(borders), by_segment, strict=True):
            if prefix is None:
                outputs.append(attend(*segment))
                continue
            before = [array[:, :, prefix.start : prefix.end] for array in arrays]
            before[1] = _moved(before[1], end - segment[1].shape[2] - prefix.end, rope)
            behind = [mx.concatenate([shared, own], axis=2) for shared, own in zip(before, segment, strict=True)]
            outputs.append(attend(*behind)[:, :, prefix.end - prefix.start :])
    return mx.concatenate(outputs, axis=2)


def _moved(keys: mx.array, places: int, rope: Rope) -> mx.array:
    """Keys (batch, heads, length, dims) as if they stood so many places further on: turned once more, all alike."""
    batch, heads, length, dims = keys.shape
    return rope(keys.reshape(batch, heads * length, 1, dims), offset=places).reshape(keys.shape)


class ChunkedGemma2Attention(gemma2.Attention):
    """Gemma 2's attention: softcapped, so never fused; every other layer slides, which mlx-lm leaves out.

    Up to `window` (4096) tokens that makes no difference; beyond, this is what transformers computes.
    """

    window: int | None

    def __call__(self, x: mx.array, mask: mx.array | None = None, cache: Any = None) -> mx.array:
        """(batch, length, width) to the same."""
        length = x.shape[1]
        if cache is not None:
            return super().__call__(x, self._windowed(mask, length), cache)
        if not _segments.get().lengths and length <= min(LONG, self.window or LONG):
            return super().__call__(x, mask)
        # (batch, length, heads * dims) to (batch, heads, length, dims)
        queries, keys, values = (
            mx.unflatten(project(x), -1, (-1, self.head_dim)).swapaxes(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )

        def attend_softcapped(queries: mx.array, keys: mx.array, values: mx.array) -> mx.array:
            return attend(queries, keys, values, self.scale, self.window, self.attn_logit_softcapping)

        output = _attend_by_segment(attend_softcapped, self.rope, self.rope(queries), self.rope(keys), values)
        return self.o_proj(output.swapaxes(1, 2).flatten(-2))

    def _windowed(self, mask: mx.array | None, length: int) -> mx.array | None:
        """The mask (..., queries, keys) of the last `length` keys' queries, without what has left the window.

        That of a batch has an axis more in front, beside that of the heads that share keys.
        """
        if mask is None:
            return None
        keys = mask.shape[-1]
        if self.window and keys > self.window:
            query_positions = mx.arange(keys - length, keys)[:, None]
            mask = mask & (mx.arange(keys) > query_positions - self.window)
        return mask[:, None] if mask.ndim == 4 and self.repeats > 1 else mask
