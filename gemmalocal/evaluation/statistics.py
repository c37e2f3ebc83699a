"""What paired measurements can tell: intervals by the bootstrap, exact tests of two shares, and how many rows it takes.

By numpy and the standard library; scipy's, statsmodels' and these functions' values are the same in our tests.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES, AT_ONCE = 10_000, 2_000_000  # of a bootstrap; clusters that are drawn together
LEVEL, ALPHA, POWER = 0.95, 0.05, 0.8
Numbers = NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate, and the interval that covers the truth in 95 of 100 cases."""

    value: float
    low: float
    high: float


def ratio_interval(
    values: Sequence[float],
    weights: Sequence[float],
    clusters: Sequence[Hashable],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """The sum of `values` (rows,) by the sum of `weights` (rows,), such as nats by tokens: bootstrapped over clusters.

    Whole clusters (documents; rows where each is its own) are drawn, as https://arxiv.org/abs/2411.00640 has it, for
    rows of one document are alike. The percentiles are widened for few clusters, as those of Student's t are
    (Hesterberg's expanded percentile interval, https://arxiv.org/abs/1411.5279).
    """
    sums = _by_cluster(values, weights, clusters)
    value = float(sums[:, 0].sum() / sums[:, 1].sum())
    if len(sums) < 2:
        return Interval(value, -math.inf, math.inf)
    low, high = np.quantile(_resampled_ratios(sums, seed, resamples), _expanded(len(sums)))
    return Interval(value, float(low), float(high))


def _by_cluster(values: Sequence[float], weights: Sequence[float], clusters: Sequence[Hashable]) -> Numbers:
    """Sums (clusters, 2) of values and weights."""
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    places = np.array([numbers[cluster] for cluster in clusters])
    columns = [np.bincount(places, np.asarray(column, np.float64), len(numbers)) for column in (values, weights)]
    return np.stack(columns, 1)


def _resampled_ratios(sums: Numbers, seed: int, resamples: int) -> Numbers:
    """The ratio of sums (clusters, 2) in each resample, (resamples,)."""
    random, count = np.random.default_rng(seed), len(sums)
    ratios: list[Numbers] = []
    for start in range(0, resamples, chunk := max(1, AT_ONCE // count)):
        draws = min(chunk, resamples - start)
        drawn = random.integers(count, size=(draws, count))  # numbers of clusters
        ratios.append(sums[:, 0][drawn].sum(1) / sums[:, 1][drawn].sum(1))
    return np.concatenate(ratios)


def _expanded(count: int) -> tuple[float, float]:
    """The percentiles of an interval from so many clusters."""
    normal = NormalDist()
    low = normal.cdf(-math.sqrt(count / (count - 1)) * student_quantile((1 + LEVEL) / 2, count - 1))
    return low, 1 - low


def student_quantile(share: float, freedom: int) -> float:
    """Student's t at a share: exact for 1 and 2 degrees of freedom, else a series, to 2e-2 at 3 and 1e-3 from 6."""
    if freedom == 1:
        return math.tan(math.pi * (share - 0.5))
    if freedom == 2:
        return (2 * share - 1) * math.sqrt(2 / (4 * share * (1 - share)))
    z, v = NormalDist().inv_cdf(share), freedom
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(v) ** power for power, term in enumerate(terms, 1))


def mcnemar(fixed: int, broken: int) -> float:
    """The exact two-sided p of a 2x2 table of pairs: are as many fixed as broken?"""
    discordant, fewer = fixed + broken, min(fixed, broken)
    tail = ways = 1  # of choosing none of them
    for count in range(fewer):
        ways = ways * (discordant - count) // (count + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << discordant))


def direction(more: int, fewer: int) -> int:
    """1 if the first count is significantly larger, -1 if the second is, else 0, by the same test."""
    return 0 if mcnemar(more, fewer) > ALPHA else 1 if more > fewer else -1


def fisher(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Fisher's exact two-sided p of two counts (yes, no): have both the same share of yes?"""
    yes, whole, drawn = first[0] + second[0], sum(first) + sum(second), sum(first)
    counts = range(max(0, drawn - (whole - yes)), min(yes, drawn) + 1)
    ways = [math.comb(yes, count) * math.comb(whole - yes, drawn - count) for count in counts]
    own = math.comb(yes, first[0]) * math.comb(whole - yes, first[1])
    return sum(way for way in ways if way <= own) / sum(ways)


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's interval of a share; from 0 to 1 if nothing was tried."""
    if not trials:
        return Interval(math.nan, 0.0, 1.0)
    z, share = NormalDist().inv_cdf((1 + LEVEL) / 2), successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for there being several (Holm's step-down), in their order."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def bootstrap_p(interval: Interval) -> float:
    """A two-sided p of "there is no difference" from an interval, as if its ends were those of a normal one."""
    half = (interval.high - interval.low) / 2
    if not math.isfinite(half):
        return 1.0
    if half == 0:
        return 0.0 if interval.value else 1.0
    deviations = abs(interval.value) / (half / NormalDist().inv_cdf((1 + LEVEL) / 2))
    return math.erfc(deviations / math.sqrt(2))


def power(rows: int, gain: float, discordant: float) -> float:
    """How often `mcnemar` of so many rows sees a gain in share, if a share `discordant` of them is fixed or broken."""
    counts = np.arange(rows + 1)
    share_fixed = min(1.0, (1 + gain / discordant) / 2)
    chances = _binomial(rows, discordant)  # of each number of discordant rows
    seen = np.array([_rejected(int(count), share_fixed) if chances[count] > 1e-12 else 0.0 for count in counts])
    return float(chances @ seen)


def _rejected(discordant: int, share_fixed: float) -> float:
    """How often so many discordant rows give p <= 0.05 in the direction of the gain."""
    below = np.cumsum(_binomial(discordant, 0.5))  # P(fewer <= k), by k
    critical = int(np.searchsorted(below, ALPHA / 2, side="right"))  # broken ones must be fewer than this
    return float(_binomial(discordant, 1 - share_fixed)[:critical].sum())


def _binomial(trials: int, share: float) -> Numbers:
    """The chance of each number of successes, (trials + 1,)."""
    chances = np.zeros(trials + 1)
    if share <= 0 or share >= 1:
        chances[0 if share <= 0 else trials] = 1
        return chances
    logs = [0.0]
    for count in range(1, trials + 1):
        logs.append(logs[-1] + math.log((trials - count + 1) / count) + math.log(share / (1 - share)))
    return np.asarray(np.exp(np.array(logs) + trials * math.log1p(-share)), np.float64)


def least_gain(rows: int, discordant: float) -> float | None:
    """The smallest gain in share that so many rows show in 80 of 100 cases; None if they show none at all."""
    if not rows or power(rows, discordant, discordant) < POWER:
        return None
    low, high = 0.0, discordant
    while high - low > 0.001:
        middle = (low + high) / 2
        low, high = (low, middle) if power(rows, middle, discordant) >= POWER else (middle, high)
    return high


def rows_needed(gain: float, discordant: float) -> int:
    """How many rows show a gain in share in 80 of 100 cases, by the exact test."""
    z = NormalDist().inv_cdf
    root = z(1 - ALPHA / 2) * math.sqrt(discordant) + z(POWER) * math.sqrt(max(0.0, discordant - gain**2))
    rows = max(1, math.floor((root / gain) ** 2))  # Connor's, for a test that is not exact: a little too few
    while power(rows, gain, discordant) < POWER:
        rows += max(1, rows // 100)
    return rows
