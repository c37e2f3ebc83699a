"""Step to learning rate."""

from __future__ import annotations

import math

from gemmalocal.recipe.schema import TrainSpec


def learning_rate(train: TrainSpec, step: int, steps: int) -> float:
    """The rate of step `step` (from 1) of `steps`: a linear warmup, then the recipe's schedule down towards 0.

    The highest rate is that of one step alone, the last of the warmup (without one: the first), if it is to fall.
    """
    warmup = train.warmup_over(steps)
    if step <= warmup:
        return train.learning_rate * step / warmup
    peak = max(1, warmup)
    left = (steps - step + 1) / (steps - peak + 1)
    if train.schedule == "linear":
        return train.learning_rate * left
    if train.schedule == "cosine":
        return train.learning_rate * 0.5 * (1 - math.cos(math.pi * left))
    return train.learning_rate
