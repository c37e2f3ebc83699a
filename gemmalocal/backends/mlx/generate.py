"""Answers to several prompts in one forward pass over one copy of the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import BatchKVCache, BatchRotatingKVCache, RotatingKVCache, make_prompt_cache

from gemmalocal.backends.mlx import model, voices
from gemmalocal.backends.mlx.faults import translated
from gemmalocal.backends.mlx.loss import Head
from gemmalocal.backends.protocol import Sampling

PREFILL = 2048  # tokens of all prompts that are read at once


def generator(
    folder: Path, adapters: Sequence[Path] = (), dtype: str = "auto", quantize: int | None = None
) -> MlxGenerator:
    """Load the weights in `folder` and lay adapters over them."""
    with translated():
        return MlxGenerator(folder, adapters, dtype, quantize)


class MlxGenerator:
    """A Gemma under any number of adapters."""

    def __init__(self, folder: Path, adapters: Sequence[Path], dtype: str, quantize: int | None) -> None:
        self._text = model.load(folder, dtype, quantize).text
        self._layers = voices.overlay(self._text, adapters)
        self._head = Head(self._text)

    def stream(
        self, prompts: Sequence[Sequence[int]], voices: Sequence[int], sampling: Sampling, stops: set[int]
    ) -> Iterator[list[int | None]]:
        """Answer all prompts at once: each step gives one id for each prompt, None for one that has ended."""
        draws = [list(voices[:row]).count(voice) for row, voice in enumerate(voices)]

        def select(rows: list[int]) -> None:
            chosen = [voices[row] for row in rows]
            for layer in self._layers:
                layer.select(mx.array(chosen) if any(chosen) else None)

        return decode(self._text, self._head, prompts, sampling, stops, draws, select)


def decode(
    text: Any,
    head: Head,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    stops: set[int],
    draws: Sequence[int],
    select: Callable[[list[int]], None],
) -> Iterator[list[int | None]]:
    """One id for each prompt and step; `draws` has a number for each prompt (see `_choose`).

    `select` is told which prompts the next batch holds: those that have ended leave it.
    """
    rows = list(range(len(prompts)))
    select(rows)
    cache = _cache(text, prompts)

    def choose(hidden: mx.array, step: int) -> mx.array:
        chosen = _choose(head.logits(hidden), sampling, [(draws[row], step) for row in rows])
        mx.async_eval(chosen)  # it is computed while the caller is busy with the ids before
        return chosen

    with translated():
        chosen = choose(_read(text, cache, prompts), 0)
    for step in range(1, sampling.max_tokens + 1):
        with translated():
            ids: Any = chosen.tolist()
            said: list[int | None] = [None] * len(prompts)
            for row, number in zip(rows, ids, strict=True):
                said[row] = number
            going = [place for place, number in enumerate(ids) if number not in stops]
            if len(going) < len(rows) and going:
                rows = [rows[place] for place in going]
                select(rows)
                chosen = chosen[mx.array(going)]
                for layer in cache:
                    layer.filter(mx.array(going))
            if going and step < sampling.max_tokens:
                chosen = choose(text.model(chosen[:, None], cache=cache)[:, -1], step)
        yield said
        if not going:
            return


def _cache(text: Any, prompts: Sequence[Sequence[int]]) -> list[Any]:
    """mlx-lm's key-value caches for rows of different length, which are padded on the left."""
    longest = max(map(len, prompts))
    padding = [longest - len(prompt) for prompt in prompts]
    return [
        BatchRotatingKVCache(one.max_size, padding) if isinstance(one, RotatingKVCache) else BatchKVCache(padding)
        for one in make_prompt_cache(text)
    ]


def _read(text: Any, cache: list[Any], prompts: Sequence[Sequence[int]]) -> mx.array:
    """Put the prompts into the cache; the hidden states of their last tokens, (prompts, width)."""
    longest = max(map(len, prompts))
    ids = mx.array([[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    chunk = max(1, PREFILL // len(prompts))
    for start in range(0, longest, chunk):
        states = text.model(ids[:, start : start + chunk], cache=cache)[:, -1]
        mx.eval(states, [one.state for one in cache])
    return states


def _choose(logits: mx.array, sampling: Sampling, places: list[tuple[int, int]]) -> mx.array:
    """The next ids (rows,) of logits (rows, vocabulary); a row draws by the seed and its place (number, step)."""
    if sampling.temperature == 0:
        return mx.argmax(logits, axis=-1)
    logits = logits.astype(mx.float32) / sampling.temperature
    if kept := min(sampling.top_k, logits.shape[-1]):
        limit = mx.min(mx.topk(logits, kept, axis=-1), axis=-1, keepdims=True)
        logits = mx.where(logits >= limit, logits, -mx.inf)
    if sampling.top_p < 1:
        order = mx.argsort(-logits, axis=-1)
        shares = mx.softmax(mx.take_along_axis(logits, order, axis=-1), axis=-1, precise=True)
        before = mx.cumsum(shares, axis=-1) - shares  # the likeliest one always stays
        ranked = mx.where(before < max(sampling.top_p, 1e-6), mx.take_along_axis(logits, order, axis=-1), -mx.inf)
        logits = mx.put_along_axis(logits, order, ranked, axis=-1)
    noise = [mx.random.gumbel(logits.shape[1:], key=_key(sampling.seed, *place)) for place in places]
    return mx.argmax(logits + mx.stack(noise), axis=-1)


def _key(*numbers: int) -> mx.array:
    """A key of its own for each sequence of numbers."""
    return mx.random.key(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]))
