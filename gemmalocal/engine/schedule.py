"""Step to learning rate."""

from __future__ import annotations

import math

from gemmalocal.recipe.schema import TrainSpec


def learning_rate(train: TrainSpec, step: int, steps: int) -> float:
    """The rate of step `step` (from 1) of `steps`: a linear warmup, then the recipe's schedule down to 0."""
    if step <= train.warmup:
        return train.learning_rate * step / train.warmup
    left = (steps - step + 1) / max(1, steps - train.warmup)
    if train.schedule == "linear":
        return train.learning_rate * left
    if train.schedule == "cosine":
        return train.learning_rate * 0.5 * (1 - math.cos(math.pi * left))
    return train.learning_rate
