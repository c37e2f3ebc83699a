"""What every objective is given and gives back: numbers of answers, and the slopes of its loss by them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


class Answers(NamedTuple):
    """Answers that are judged together; every array is (n,). Of pairs, the chosen one stands before its rejected one.

    `log_probabilities` are in nats, each the sum over its answer's `tokens`; `reference` are those of the model as the
    run starts. `good` says which are chosen, or were rated good. `divergence` (nats) is how far the model has moved
    from the reference in general, for objectives that weigh by it.
    """

    log_probabilities: Numbers
    tokens: Numbers
    reference: Numbers
    good: NDArray[np.bool_]
    divergence: float = 0.0

    @property
    def gained(self) -> Numbers:
        """By how much each is likelier than the reference has it, in nats."""
        return self.log_probabilities - self.reference

    @property
    def means(self) -> Numbers:
        """Log-probability of a token of each, in nats."""
        return self.log_probabilities / self.tokens


class Judged(NamedTuple):
    """What an objective makes of `Answers`.

    `losses` are (pairs,), or (n,) where answers are judged one by one; `slopes` (n,) those of their sum by
    `log_probabilities`; `rewards` (n,) what the objective compares: the better answer should have the higher one.
    """

    losses: Numbers
    slopes: Numbers
    rewards: Numbers


def sigmoid(x: Numbers) -> Numbers:
    """1 / (1 + exp(-x)), without overflow."""
    return np.exp(-np.logaddexp(0.0, -x))


def log_sigmoid(x: Numbers) -> Numbers:
    """Its logarithm."""
    return -np.logaddexp(0.0, -x)


def lead(values: Numbers) -> Numbers:
    """By how much the chosen of each pair is above the rejected, (pairs,)."""
    return values[::2] - values[1::2]


def both_sides(slopes: Numbers) -> Numbers:
    """Slopes by the lead of each pair, (pairs,), as slopes by its two values, (n,)."""
    return np.stack([slopes, -slopes], axis=1).reshape(-1)
