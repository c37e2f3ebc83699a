"""Distillation against TRL's own loss, a dense reference of k ids and the rest, and finite differences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gemmalocal.engine.objectives.answers import Numbers
from gemmalocal.engine.objectives.distill import LEAST, Taught, distill

GOLDENS = np.load(Path(__file__).parent / "goldens" / "distill.npz", allow_pickle=False)
Ids = NDArray[np.int64]
BETAS = [0, 0.1, 0.5, 1]
TOKENS, VOCABULARY = GOLDENS["student"].shape


def log_softmax(logits: Numbers) -> Numbers:
    whole: Numbers = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return whole


@pytest.mark.parametrize("temperature", [1, 2])
@pytest.mark.parametrize("beta", BETAS)
def test_with_every_id_kept_it_is_the_divergence_of_trl(beta: float, temperature: float) -> None:
    student, teacher = (log_softmax(GOLDENS[name] / temperature) for name in ("student", "teacher"))
    given = distill(student, np.zeros(TOKENS), Taught(teacher, None), beta, 0)
    # Through the softmax, as a head does it.
    by_logits = (given.slopes - np.exp(student) * given.slopes.sum(1, keepdims=True)) / temperature
    name = f"{beta:g} at {temperature:g}"
    assert given.losses.sum() == pytest.approx(float(GOLDENS[f"{name} loss"]), rel=1e-9)
    np.testing.assert_allclose(by_logits, GOLDENS[f"{name} gradient"], rtol=1e-9, atol=1e-9)


def drawn(vocabulary: int, keep: int, seed: int = 5) -> tuple[Numbers, Numbers, Ids]:
    """Logits of a student, whole log-probabilities of a teacher, and the teacher's likeliest ids, for 30 tokens."""
    draw = np.random.default_rng(seed)
    student, teacher = draw.normal(0, 2, (30, vocabulary)), log_softmax(draw.normal(0, 2, (30, vocabulary)))
    return student, teacher, np.argsort(-teacher, axis=1)[:, :keep]


def bucketed(whole: Numbers, ids: Ids) -> Numbers:
    """A whole distribution at its ids, and all others summed up one by one."""
    rest = np.exp(whole)
    np.put_along_axis(rest, ids, 0, axis=1)
    return np.concatenate([np.take_along_axis(whole, ids, 1), np.log(rest.sum(1, keepdims=True))], axis=1)


def dense(logits: Numbers, teacher: Numbers, ids: Ids, beta: float) -> Numbers:
    """The divergence of each token by its definition, over whole distributions put into buckets."""
    p, q = np.exp(bucketed(log_softmax(logits), ids)), np.exp(bucketed(teacher, ids))
    if beta in (0, 1):
        first, second = (q, p) if beta == 0 else (p, q)
        return (first * np.log(first / second)).sum(1)  # type: ignore[no-any-return]
    mixed = beta * q + (1 - beta) * p
    return (beta * q * np.log(q / mixed) + (1 - beta) * p * np.log(p / mixed)).sum(1)  # type: ignore[no-any-return]


@pytest.mark.parametrize("beta", BETAS)
def test_the_likeliest_ids_and_the_rest_are_a_dense_distribution_in_buckets(beta: float) -> None:
    logits, teacher, ids = drawn(300, 32)
    whole, buckets = log_softmax(logits), bucketed(teacher, ids)
    student = np.take_along_axis(whole, ids, 1)
    given = distill(student, np.zeros(30), Taught(buckets[:, :-1], buckets[:, -1]), beta, 0)
    np.testing.assert_allclose(given.losses, dense(logits, teacher, ids, beta), rtol=1e-9)
    np.testing.assert_allclose(given.divergences, dense(logits, teacher, ids, 0), rtol=1e-9)
    slopes = np.zeros_like(whole)
    np.put_along_axis(slopes, ids, given.slopes, axis=1)
    by_logits = slopes - np.exp(whole) * slopes.sum(1, keepdims=True)
    for place in (0, ids[0, 0], ids[3, 31], 299):
        moved = np.zeros_like(logits)
        moved[:, place] = 1e-5
        above, below = (dense(logits + side * moved, teacher, ids, beta) for side in (1, -1))
        np.testing.assert_allclose(by_logits[:, place], (above - below) / 2e-5, rtol=1e-5, atol=1e-9)


def test_the_row_s_own_token_counts_by_its_share() -> None:
    logits, teacher, ids = drawn(50, 8)
    student = np.take_along_axis(log_softmax(logits), ids, 1)
    target, buckets = np.linspace(-5, -0.1, 30), bucketed(teacher, ids)
    taught = Taught(buckets[:, :-1], buckets[:, -1])
    alone, mixed, imitated = (distill(student, target, taught, 0.5, mix) for mix in (0, 0.3, 1))
    np.testing.assert_allclose(mixed.losses, 0.7 * alone.losses - 0.3 * target)
    np.testing.assert_allclose(mixed.slopes, 0.7 * alone.slopes)
    np.testing.assert_allclose(mixed.target_slopes, -0.3)
    np.testing.assert_allclose(imitated.losses, -target)
    assert not imitated.slopes.any()


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("rest", [-np.inf, -1e-4])
@pytest.mark.parametrize("sure", [0.0, -40.0])
def test_nobody_is_too_sure(beta: float, rest: float, sure: float) -> None:
    student = np.array([[sure, -60.0]])
    with np.errstate(all="raise", under="ignore"):
        given = distill(student, np.zeros(1), Taught(np.array([[-1e-3, -50.0]]), np.array([rest])), beta, 0.5)
    assert all(np.isfinite(values).all() for values in given)
    assert np.abs(given.slopes).max() < 2 / LEAST


def test_a_student_that_says_the_same_has_nothing_to_learn() -> None:
    _, teacher, ids = drawn(300, 32)
    buckets = bucketed(teacher, ids)
    rounded = Taught(buckets[:, :-1].astype(np.float16).astype(np.float64), buckets[:, -1].astype(np.float16))
    for beta in BETAS:
        given = distill(buckets[:, :-1], np.zeros(30), rounded, beta, 0)
        assert np.abs(given.losses).max() < 1e-5  # float16 costs no more
