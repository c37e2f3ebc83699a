"""Distillation: to say what a teacher says, token by token (generalized JSD, https://arxiv.org/abs/2306.13649).

Of the teacher's distribution its likeliest ids are kept, and all others are one bucket. So a distribution here is k
log-probabilities and that of the rest, and a divergence between two of them is at most that of the whole ones.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gemmalocal.engine.objectives.answers import Numbers

LEAST = 1e-6  # probability of the rest: what is left of 1 by float32 means nothing below


class Taught(NamedTuple):
    """What a teacher says of n tokens, in nats: at its `kept` ids, (n, k), and of all others together, `rest` (n,).

    `rest` is None where every id of the vocabulary is kept.
    """

    kept: Numbers
    rest: Numbers | None


class Distilled(NamedTuple):
    """What the objective makes of n tokens.

    `losses` (n,); `slopes` (n, k) and `target_slopes` (n,) those of their sum by the student's log-probabilities at the
    kept ids and at the row's own. `divergences` (n,) are KL(teacher || student), whatever `beta` is, in nats.
    """

    losses: Numbers
    slopes: Numbers
    target_slopes: Numbers
    divergences: Numbers


def distill(student: Numbers, target: Numbers, taught: Taught, beta: float, mix: float, by: Any = np) -> Distilled:
    """`(1 - mix) JSD(teacher, student) - mix target` of each token.

    `student` (n, k) are its log-probabilities at the teacher's kept ids, `target` (n,) that of the row's own token.
    `beta` 0 is KL(teacher || student), 1 is KL(student || teacher). All are arrays of the library `by`, whose functions
    are named as numpy's.
    """
    buckets, tail = _with_rest(student, taught.rest is not None, by)
    teacher = _teacher(taught, by)
    divergences = _forward(buckets, teacher, by)
    losses, by_bucket = _jsd(buckets, teacher, beta, by)
    slopes = by_bucket[:, : student.shape[1]]
    if tail is not None:  # the rest is 1 less what the ids have
        slopes = slopes - by_bucket[:, -1:] * by.exp(student) / tail[:, None]
    return Distilled(
        (1 - mix) * losses - mix * target, (1 - mix) * slopes, by.full(target.shape, -float(mix)), divergences
    )


def _jsd(student: Numbers, teacher: Numbers, beta: float, by: Any) -> tuple[Numbers, Numbers]:
    """The divergence (n,) between log-probabilities (n, buckets), and its slopes by the student's."""
    if beta == 0:
        return _forward(student, teacher, by), -by.exp(teacher)
    if beta == 1:
        ratios = student - teacher
        return (by.exp(student) * ratios).sum(1), by.exp(student) * (ratios + 1)
    mixture = by.logaddexp(student + math.log1p(-beta), teacher + math.log(beta))
    of_student = (1 - beta) * by.exp(student) * (student - mixture)
    losses = beta * (by.exp(teacher) * (teacher - mixture)).sum(1) + of_student.sum(1)
    return losses, of_student  # what the mixture adds to the slopes cancels out


def _forward(student: Numbers, teacher: Numbers, by: Any) -> Numbers:
    """KL(teacher || student), (n,)."""
    kl: Numbers = (by.exp(teacher) * (teacher - student)).sum(1)
    return kl


def _with_rest(logp: Numbers, has_rest: bool, by: Any) -> tuple[Numbers, Numbers | None]:
    """Log-probabilities (n, k) with that of the rest behind them, and the rest's probability (n,)."""
    if not has_rest:
        return logp, None
    rest = by.maximum(1 - by.exp(logp).sum(1), LEAST)
    return by.concatenate([logp, by.log(rest)[:, None]], axis=1), rest


def _teacher(taught: Taught, by: Any) -> Numbers:
    """The teacher's buckets (n, k or k + 1), which sum up to 1 again, however they were rounded."""
    buckets = taught.kept
    if taught.rest is not None:
        buckets = by.concatenate([buckets, by.maximum(taught.rest, math.log(LEAST))[:, None]], axis=1)
    highest = buckets.max(axis=1, keepdims=True)
    whole: Numbers = buckets - highest - by.log(by.exp(buckets - highest).sum(axis=1, keepdims=True))
    return whole
