"""The loss chart: any number of steps, no number among them, the right rows."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tui.widgets.curve import MOST, Bucket, Curve
from tui.widgets.loss_chart import Grid, smoothed
from tui.widgets.marks import bar, spark


def buckets(points: Iterable[tuple[float, float]]) -> list[Bucket]:
    curve = Curve()
    for point in points:
        curve.add(*point)
    return curve.buckets


def test_a_spike_among_a_hundred_thousand_steps_is_seen() -> None:
    points = [(float(step), 9.0 if step == 54_321 else 2.0) for step in range(1, 100_001)]
    grid = Grid(60, 10, 100_000, 2.0, 9.0)
    mask = grid.ranges(buckets(points))
    assert grid.cell(54_321, 9.0) in mask
    assert len([place for place in mask if place[1] == 0]) == 1


def test_every_step_is_in_a_column_and_the_line_is_joined() -> None:
    points = [(float(step), 1.0 * step) for step in (1, 50, 100)]
    grid = Grid(20, 8, 100, 1.0, 100.0)
    assert {grid.cell(*point) for point in points} <= set(grid.ranges(buckets(points)))
    assert {column for column, _ in grid.line(points)} == set(range(grid.column(1) // 2, 20))


def test_smoothing_is_the_mean_of_the_newest_steps() -> None:
    assert smoothed(buckets((n, float(n)) for n in range(1, 11)), 100)[-1] == (10, 8.0)


def test_many_steps_are_few_buckets_that_lose_nothing() -> None:
    found = buckets((float(step), math.sin(step)) for step in range(1, 100_001))
    assert len(found) <= MOST
    assert sum(one.steps for one in found) == 100_000
    assert (found[0].first, found[-1].last) == (1.0, 100_000.0)
    assert all(one.last < after.first for one, after in zip(found, found[1:], strict=False))
    assert abs(sum(one.sum for one in found) - sum(math.sin(step) for step in range(1, 100_001))) < 1e-6
    step, mean = smoothed(found, 100)[-1]
    assert step == 100_000.0
    assert abs(mean) < 0.01
    assert smoothed([], 10) == []


def test_no_number_is_left_out() -> None:
    assert spark([1.0, math.nan, 2.0, math.inf], 10) == "▁█"
    assert spark([math.nan], 10) == ""
    assert [one.last for one in buckets([(1.0, 2.0), (2.0, math.nan), (3.0, 2.0)])] == [1.0, 3.0]
    assert bar(0.01, 10).count("█") == 1
    assert bar(7.0, 10) == "█" * 10
