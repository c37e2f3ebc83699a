"""Distillation: to say what a teacher says, token by token (generalized JSD, https://arxiv.org/abs/2306.13649).

Of the teacher's distribution its likeliest ids are kept, and all others are one bucket. So a distribution here is k
log-probabilities and that of the rest, and a divergence between two of them is at most that of the whole ones.
"""

from __future__ import annotations

from typing import NamedTuple

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


def distill(student: Numbers, target: Numbers, taught: Taught, beta: float, mix: float) -> Distilled:
    """`(1 - mix) JSD(teacher, student) - mix target` of each token.

    `student` (n, k) are its log-probabilities at the teacher's kept ids, `target` (n,) that of the row's own token.
    `beta` 0 is KL(teacher || student), 1 is KL(student || teacher).
    """
    buckets, tail = _with_rest(student, taught.rest is not None)
    teacher = _teacher(taught)
    divergences = _forward(buckets, teacher)
    losses, by_bucket = _jsd(buckets, teacher, beta)
    slopes = by_bucket[:, : student.shape[1]]
    if tail is not None:  # the rest is 1 less what the ids have
        slopes = slopes - by_bucket[:, -1:] * np.exp(student) / tail[:, None]
    return Distilled(
        (1 - mix) * losses - mix * target, (1 - mix) * slopes, np.full(target.shape, -float(mix)), divergences
    )


def _jsd(student: Numbers, teacher: Numbers, beta: float) -> tuple[Numbers, Numbers]:
    """The divergence (n,) between log-probabilities (n, buckets), and its slopes by the student's."""
    if beta == 0:
        return _forward(student, teacher), -np.exp(teacher)
    if beta == 1:
        ratios = student - teacher
        return (np.exp(student) * ratios).sum(1), np.exp(student) * (ratios + 1)
    mixture = np.logaddexp(student + np.log1p(-beta), teacher + np.log(beta))
    of_student = (1 - beta) * np.exp(student) * (student - mixture)
    losses = beta * (np.exp(teacher) * (teacher - mixture)).sum(1) + of_student.sum(1)
    return losses, of_student  # what the mixture adds to the slopes cancels out


def _forward(student: Numbers, teacher: Numbers) -> Numbers:
    """KL(teacher || student), (n,)."""
    kl: Numbers = (np.exp(teacher) * (teacher - student)).sum(1)
    return kl


def _with_rest(logp: Numbers, has_rest: bool) -> tuple[Numbers, Numbers | None]:
    """Log-probabilities (n, k) with that of the rest behind them, and the rest's probability (n,)."""
    if not has_rest:
        return logp, None
    rest = np.maximum(1 - np.exp(logp).sum(1), LEAST)
    return np.concatenate([logp, np.log(rest)[:, None]], axis=1), rest


def _teacher(taught: Taught) -> Numbers:
    """The teacher's buckets (n, k or k + 1), which sum up to 1 again, however they were rounded."""
    buckets = taught.kept
    if taught.rest is not None:
        buckets = np.concatenate([buckets, np.maximum(taught.rest, np.log(LEAST))[:, None]], axis=1)
    whole: Numbers = buckets - np.logaddexp.reduce(buckets, axis=1, keepdims=True)
    return whole
