"""Direct preference optimization (https://arxiv.org/abs/2305.18290)."""

from __future__ import annotations

from gemmalocal.engine.objectives.answers import Answers, Judged, both_sides, lead, log_sigmoid, sigmoid


def dpo(answers: Answers, beta: float, label_smoothing: float = 0.0) -> Judged:
    """`-log sigmoid(x)` of each pair, with x = beta ((l_c - ref_c) - (l_r - ref_r)) of chosen and rejected.

    With smoothing e it is `-(1 - e) log sigmoid(x) - e log sigmoid(-x)`: a share e of the pairs is taken to be judged
    the wrong way round (https://ericmitchell.ai/cdpo.pdf).
    """
    rewards = beta * answers.gained
    x = lead(rewards)
    losses = -(1 - label_smoothing) * log_sigmoid(x) - label_smoothing * log_sigmoid(-x)
    slopes = -(1 - label_smoothing) * sigmoid(-x) + label_smoothing * sigmoid(x)
    return Judged(losses, beta * both_sides(slopes), rewards)
