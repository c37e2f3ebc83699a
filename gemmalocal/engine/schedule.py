"""Step, or the share of time that is spent, to learning rate."""

from __future__ import annotations

import math

from gemmalocal.recipe.schema import TrainSpec


def learning_rate(train: TrainSpec, step: int, steps: int) -> float:
    """The rate of step `step` (from 1) of `steps`: a linear warmup, then the recipe's schedule down towards 0.

    The highest rate is that of one step alone, the last of the warmup (without one: the first), if it is to fall.
    """
    warmup = train.warmup_over(steps)
    if step <= warmup:
        return train.highest_rate * step / warmup
    peak = max(1, warmup)
    return train.highest_rate * _fallen(train, (steps - step + 1) / (steps - peak + 1))


def timed_learning_rate(train: TrainSpec, step: int, share: float, ahead: float) -> float:
    """The rate of step `step` (from 1), begun when that `share` of the time was spent; it takes the share `ahead`.

    A warmup in steps and a fall by time may meet below the highest rate.
    """
    if isinstance(train.warmup, int):
        risen, peak = step / train.warmup if train.warmup else 1.0, 0.0
    else:
        risen, peak = (share + ahead) / train.warmup, train.warmup
    left = min(1.0, max(1 - share, ahead) / (1 - peak))
    return train.highest_rate * min(1.0, risen, _fallen(train, left))


def _fallen(train: TrainSpec, left: float) -> float:
    """What is left of the highest rate, by the share that is left of the way down."""
    if train.schedule == "linear":
        return left
    if train.schedule == "cosine":
        return 0.5 * (1 - math.cos(math.pi * left))
    return 1.0
