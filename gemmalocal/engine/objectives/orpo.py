"""Odds ratio preference optimization (https://arxiv.org/abs/2403.07691): imitation and preference at once."""

from __future__ import annotations

import numpy as np

from gemmalocal.engine.objectives.answers import Answers, Judged, both_sides, lead, log_sigmoid, sigmoid

CERTAIN = -1e-12  # a mean log-probability above it would have infinite odds


def orpo(answers: Answers, beta: float) -> Judged:
    """`-m_c - beta log sigmoid(odds_c - odds_r)` of each pair, with odds = m - log(1 - exp(m)).

    m is an answer's mean log-probability by token. The first term imitates the chosen answer.
    """
    means = np.minimum(answers.means, CERTAIN)
    unlikely = -np.expm1(means)  # 1 - exp(m), exact where m is near 0
    x = lead(means - np.log(unlikely))
    losses = -means[::2] - beta * log_sigmoid(x)
    slopes = both_sides(-beta * sigmoid(-x)) / unlikely  # d odds / d m = 1 / (1 - exp(m))
    slopes[::2] -= 1
    return Judged(losses, slopes / answers.tokens, answers.means)
