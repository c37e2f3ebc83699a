"""Simple preference optimization (https://arxiv.org/abs/2405.14734): no reference, but a margin to win by."""

from __future__ import annotations

from gemmalocal.engine.objectives.answers import Answers, Judged, both_sides, lead, log_sigmoid, sigmoid


def simpo(answers: Answers, beta: float, gamma: float) -> Judged:
    """`-log sigmoid(beta (m_c - m_r) - gamma)` of each pair, m being an answer's mean log-probability by token."""
    rewards = beta * answers.means
    x = lead(rewards) - gamma
    return Judged(-log_sigmoid(x), both_sides(-beta * sigmoid(-x)) / answers.tokens, rewards)
