"""Answers to several prompts, id by id, whichever engine computes: who still speaks, and which ids are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from gemmalocal.backends.protocol import Sampling
from gemmalocal.weights.tensors import Floats


class CachedRows(Protocol):
    """Rows of ids in an engine, and what it remembers of them (keys and values), so that none is read twice."""

    def feed(self, ids: Sequence[Sequence[int]]) -> None:
        """Go on with these ids, some for each row; their logits may still be computed when this returns."""

    def keep(self, places: Sequence[int]) -> None:
        """Forget all rows but these."""

    def likeliest(self) -> list[int]:
        """The id of the highest logit after each row."""

    def logits(self) -> Floats:
        """The logits after each row, (rows, vocabulary), float32."""


def decode(
    rows: CachedRows, prompts: Sequence[Sequence[int]], voices: Sequence[int], sampling: Sampling, stops: set[int]
) -> Iterator[list[int | None]]:
    """What `Generator.stream` promises, of rows whose voices are chosen already.

    Yields one id for each prompt, None for one that has ended. Raises what the engine does: `OutOfMemory`.
    """
    # How often a prompt's voice was there before it: the second prompt of a voice draws otherwise than its first.
    draw_numbers = [list(voices[:index]).count(voice) for index, voice in enumerate(voices)]
    unfinished = list(range(len(prompts)))
    rows.feed(prompts)
    for step in range(sampling.max_tokens):
        if sampling.temperature == 0:
            ids = rows.likeliest()
        else:
            ids = draw(rows.logits(), sampling, [(draw_numbers[prompt], step) for prompt in unfinished])
        answer_ids: list[int | None] = [None] * len(prompts)
        for prompt, token_id in zip(unfinished, ids, strict=True):
            answer_ids[prompt] = token_id
        continuing = [index for index, token_id in enumerate(ids) if token_id not in stops]
        if continuing and step + 1 < sampling.max_tokens:
            if len(continuing) < len(unfinished):
                rows.keep(continuing)
            rows.feed([[ids[index]] for index in continuing])
        yield answer_ids
        if not continuing:
            return
        unfinished = [unfinished[index] for index in continuing]


def draw(logits: Floats, sampling: Sampling, keys: Sequence[tuple[int, int]]) -> list[int]:
    """An id for each row of (rows, vocabulary) float32, as `Sampling` says; a row draws by the seed and its key."""
    return [_draw_one(row, sampling, key) for row, key in zip(logits, keys, strict=True)]


def _draw_one(logits: Floats, sampling: Sampling, key: tuple[int, int]) -> int:
    scores = logits / np.float32(sampling.temperature)
    if 0 < sampling.top_k < len(scores):
        scores[scores < np.partition(scores, -sampling.top_k)[-sampling.top_k]] = -np.inf
    probabilities = np.exp(scores - scores.max())  # not normalized: the likeliest has 1
    if sampling.top_p < 1:
        probabilities[probabilities < _top_p_threshold(probabilities, sampling.top_p)] = 0
    # In the order of ids, so that voices of nearly the same scores draw the same ids.
    cumulative = np.cumsum(probabilities, dtype=np.float64)
    point = np.random.default_rng([sampling.seed, *key]).random() * cumulative[-1]
    return int(np.searchsorted(cumulative, point, side="right"))


def _top_p_threshold(probabilities: Floats, top_p: float) -> np.float32:
    """The least of the highest probabilities that together reach `top_p` of all (https://arxiv.org/abs/1904.09751)."""
    total = probabilities.sum(dtype=np.float64)
    # Smaller ones than this are together less than what `top_p` leaves over, so they need no sorting.
    descending = np.sort(probabilities[probabilities >= (1 - top_p) * total / len(probabilities)])[::-1]
    index = np.searchsorted(np.cumsum(descending, dtype=np.float64), top_p * total)
    threshold: np.float32 = descending[min(index, len(descending) - 1)]
    return threshold
