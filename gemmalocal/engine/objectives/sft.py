"""Imitation: the cross-entropy of the answers."""

from __future__ import annotations

import numpy as np

from gemmalocal.engine.objectives.answers import Answers, Judged


def sft(answers: Answers) -> Judged:
    """`-l` for each answer, l being its log-probability: what plain training has, whose slopes need no look at l."""
    logp = answers.log_probabilities
    return Judged(-logp, np.full(logp.shape, -1.0), logp)
