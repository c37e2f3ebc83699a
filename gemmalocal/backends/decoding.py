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
        """Go on with these ids, some for each row; what follows them may still be computed when this returns."""

    def keep(self, places: Sequence[int]) -> None:
        """Forget all rows but these."""

    def likeliest(self) -> list[int]:
        """The id of the highest score after each row."""

    def logits(self) -> Floats:
        """The scores after each row, (rows, vocabulary)."""


def decode(
    rows: CachedRows, prompts: Sequence[Sequence[int]], voices: Sequence[int], sampling: Sampling, stops: set[int]
) -> Iterator[list[int | None]]:
    """What `Generator.stream` promises, of rows whose voices are chosen already."""
    draws = [list(voices[:place]).count(voice) for place, voice in enumerate(voices)]
    speaking = list(range(len(prompts)))
    rows.feed(prompts)
    for step in range(sampling.max_tokens):
        if sampling.temperature == 0:
            ids = rows.likeliest()
        else:
            ids = draw(rows.logits(), sampling, [(draws[prompt], step) for prompt in speaking])
        said: list[int | None] = [None] * len(prompts)
        for prompt, number in zip(speaking, ids, strict=True):
            said[prompt] = number
        going = [place for place, number in enumerate(ids) if number not in stops]
        if going and step + 1 < sampling.max_tokens:
            if len(going) < len(speaking):
                rows.keep(going)
            rows.feed([[ids[place]] for place in going])
        yield said
        if not going:
            return
        speaking = [speaking[place] for place in going]


def draw(logits: Floats, sampling: Sampling, places: Sequence[tuple[int, int]]) -> list[int]:
    """An id for each row of (rows, vocabulary), as `Sampling` says; a row draws by the seed and its place."""
    return [_drawn(row, sampling, place) for row, place in zip(logits, places, strict=True)]


def _drawn(logits: Floats, sampling: Sampling, place: tuple[int, int]) -> int:
    scores = logits / np.float32(sampling.temperature)
    if 0 < sampling.top_k < len(scores):
        scores[scores < np.partition(scores, -sampling.top_k)[-sampling.top_k]] = -np.inf
    shares = np.exp(scores - scores.max())
    if sampling.top_p < 1:
        shares[shares < _least(shares, sampling.top_p)] = 0
    # In the order of ids, so that voices of nearly the same scores draw the same ids.
    sums = np.cumsum(shares, dtype=np.float64)
    point = np.random.default_rng([sampling.seed, *place]).random() * sums[-1]
    return int(np.searchsorted(sums, point, side="right"))


def _least(shares: Floats, top_p: float) -> np.float32:
    """The smallest of the largest shares that together reach `top_p` of all."""
    total = shares.sum(dtype=np.float64)
    # Smaller ones than this are together less than what `top_p` leaves over, so they need no sorting.
    falling = np.sort(shares[shares >= (1 - top_p) * total / len(shares)])[::-1]
    place = np.searchsorted(np.cumsum(falling, dtype=np.float64), top_p * total)
    found: np.float32 = falling[min(place, len(falling) - 1)]
    return found
