"""Kahneman-Tversky optimization (https://arxiv.org/abs/2402.01306): from single answers rated good or bad."""

from __future__ import annotations

import numpy as np

from gemmalocal.engine.objectives.answers import Answers, Judged, sigmoid


def kto(answers: Answers, beta: float, desirable_weight: float = 1.0, undesirable_weight: float = 1.0) -> Judged:
    """`w (1 - sigmoid(x))` of each answer, with x = beta (d - z) of a good one and beta (z - d) of a bad one.

    d is what it has gained over the reference, z the divergence: a constant, never below 0.
    """
    side = np.where(answers.good, 1.0, -1.0)
    weights = np.where(answers.good, desirable_weight, undesirable_weight)
    rewards = beta * (answers.gained - max(0.0, answers.divergence))
    won = sigmoid(side * rewards)
    return Judged(weights * (1 - won), -beta * side * weights * won * (1 - won), rewards)
