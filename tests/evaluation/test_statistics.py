"""Intervals cover what they say, tests equal scipy's and statsmodels', and power is what a simulation gives."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from gemmalocal.evaluation import statistics
from gemmalocal.evaluation.statistics import (
    fisher,
    holm,
    least_gain,
    mcnemar,
    power,
    ratio_interval,
    rows_needed,
    student_quantile,
    wilson,
)
from tests.evaluation.goldens import FILE, FISHERS, FREEDOMS, P_VALUES, POWERS, SHARES, TABLES

GOLDENS = json.loads(FILE.read_text())


def test_mcnemar_is_statsmodels() -> None:
    assert [mcnemar(*table) for table in TABLES[1:]] == pytest.approx(GOLDENS["mcnemar"], abs=1e-9)
    assert mcnemar(0, 0) == 1
    assert mcnemar(3000, 2600) < 1e-6


def test_fisher_is_scipys() -> None:
    assert [fisher(*table) for table in FISHERS] == pytest.approx(GOLDENS["fisher"], rel=1e-9)


def test_wilson_is_statsmodels() -> None:
    for (successes, trials), expected in zip(SHARES, GOLDENS["wilson"], strict=True):
        assert wilson(successes, trials)[1:] == pytest.approx(expected, abs=1e-9)
    assert wilson(0, 0)[1:] == (0, 1)


def test_holm_is_statsmodels() -> None:
    for values, expected in zip(P_VALUES, GOLDENS["holm"], strict=True):
        assert holm(values) == pytest.approx(expected, abs=1e-12)


def test_students_t_is_near_scipys() -> None:
    for freedom, expected in zip(FREEDOMS, GOLDENS["student"], strict=True):
        assert student_quantile(0.975, freedom) == pytest.approx(expected, abs=0.03 if freedom < 6 else 1e-3)


def test_power_is_scipys_and_what_a_simulation_gives() -> None:
    assert [power(*case) for case in POWERS] == pytest.approx(GOLDENS["power"], abs=1e-9)
    random = np.random.default_rng(0)
    for rows, gain, discordant in POWERS[:2]:
        shares = [(discordant + gain) / 2, (discordant - gain) / 2, 1 - discordant]
        fixed, broken, _ = random.multinomial(rows, shares, 4000).T
        seen = [f > b and mcnemar(f, b) <= 0.05 for f, b in zip(fixed.tolist(), broken.tolist(), strict=True)]
        assert np.mean(seen) == pytest.approx(power(rows, gain, discordant), abs=0.025)


def test_rows_needed_and_what_rows_can_show_are_one_matter() -> None:
    # Connor's approximation gives 56, 233 and 625: an exact test needs some more.
    assert [rows_needed(*case) for case in ((0.2, 0.3), (0.1, 0.3))] == pytest.approx([66, 255], rel=0.1)
    needed = rows_needed(0.2, 0.3)
    assert power(needed, 0.2, 0.3) >= 0.8 > power(needed - 8, 0.2, 0.3)
    gain = least_gain(80, 0.3)
    assert gain is not None
    assert power(80, gain, 0.3) >= 0.8 > power(80, gain - 0.01, 0.3)
    assert least_gain(5, 0.3) is None
    assert least_gain(0, 0.3) is None


def simulated(random: np.random.Generator, effect: float, documents: int, of_each: int) -> bool:
    """Whether the interval of rows that are alike within their document covers the effect."""
    tokens = random.integers(5, 60, documents * of_each)
    of_document = np.repeat(random.normal(0, 0.3, documents), of_each)
    mean = effect + of_document + random.normal(0, 0.5, len(tokens))
    names = np.repeat(np.arange(documents), of_each).tolist()
    interval = ratio_interval((mean * tokens).tolist(), tokens.tolist(), names, resamples=600)
    return interval.low <= effect <= interval.high


@pytest.mark.parametrize(("documents", "of_each"), [(60, 1), (25, 4)])
def test_intervals_cover_a_known_effect(documents: int, of_each: int) -> None:
    random = np.random.default_rng(1)
    covered = sum(simulated(random, -0.4, documents, of_each) for _ in range(1000))
    assert 930 <= covered <= 970


def test_rows_of_a_document_are_drawn_together() -> None:
    values, tokens = [0.1, 0.1, 0.1, -0.3, -0.3, -0.3] * 5, [1.0] * 30
    alone = ratio_interval(values, tokens, range(30))
    together = ratio_interval(values, tokens, [number // 3 for number in range(30)])
    assert together.value == pytest.approx(alone.value)
    assert together.high - together.low > 1.4 * (alone.high - alone.low)


def test_an_interval_is_the_same_each_time_and_one_row_tells_nothing() -> None:
    values = np.random.default_rng(2).normal(size=50).tolist()
    assert ratio_interval(values, [1.0] * 50, range(50)) == ratio_interval(values, [1.0] * 50, range(50))
    alone = ratio_interval([1.0], [2.0], ["a"])
    assert alone == (0.5, -math.inf, math.inf)
    assert statistics.bootstrap_p(alone) == 1
    assert statistics.bootstrap_p(ratio_interval([2.0] * 9, [1.0] * 9, range(9))) == 0
