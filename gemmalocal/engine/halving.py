"""Successive halving (https://arxiv.org/abs/1502.07943): how long each trial trains, and who goes on.

Each trial of a rung is a whole short run, from a fresh adapter down to a rate of nearly 0. So one with a high rate,
which only shows what it has learned once its rate has fallen, is not judged before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

LEAST = 8  # steps that a trial should have


class Rung(NamedTuple):
    """So many trials of so many steps each."""

    trials: int
    steps: int


def rungs(trials: int, steps: int) -> list[Rung]:
    """Rungs that take `steps` altogether: each has half the trials of the one before, and twice the steps.

    So each rung costs alike. There are fewer of them where the first would be shorter than `LEAST` steps.
    """
    counts = [trials]
    while counts[-1] > 2:
        counts.append(math.ceil(counts[-1] / 2))
    while len(counts) > 1 and _shortest(counts, steps) < LEAST:
        counts.pop()
    first = max(1, _shortest(counts, steps))
    return [Rung(count, first << number) for number, count in enumerate(counts)]


def _shortest(counts: list[int], steps: int) -> int:
    return steps // sum(count << number for number, count in enumerate(counts))


def survivors(losses: Mapping[int, float], count: int) -> list[int]:
    """The trials that go on, in their order: those of the lowest losses; one that has diverged (inf) does not."""
    ranked = sorted((loss, trial) for trial, loss in losses.items() if math.isfinite(loss))
    return sorted(trial for _, trial in ranked[:count])


def best(losses: Mapping[int, float]) -> int | None:
    """The trial of the lowest loss, the first of equal ones; None where all have diverged."""
    return next(iter(survivors(losses, 1)), None)
