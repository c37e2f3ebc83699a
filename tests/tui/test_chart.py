"""The loss chart: any number of steps, no number among them, the right rows."""

from __future__ import annotations

import math

from tui.widgets.loss_chart import Grid, smoothed
from tui.widgets.marks import bar, spark


def test_a_spike_among_a_hundred_thousand_steps_is_seen() -> None:
    points = [(float(step), 9.0 if step == 54_321 else 2.0) for step in range(1, 100_001)]
    grid = Grid(60, 10, 100_000, 2.0, 9.0)
    mask = grid.ranges(points)
    assert grid.cell(54_321, 9.0) in mask
    assert len([place for place in mask if place[1] == 0]) == 1


def test_every_step_is_in_a_column_and_the_line_is_joined() -> None:
    points = [(float(step), 1.0 * step) for step in (1, 50, 100)]
    grid = Grid(20, 8, 100, 1.0, 100.0)
    assert {grid.cell(*point) for point in points} <= set(grid.ranges(points))
    assert {column for column, _ in grid.line(points)} == set(range(grid.column(1) // 2, 20))


def test_smoothing_is_the_mean_of_the_newest_steps() -> None:
    assert smoothed([(n, float(n)) for n in range(1, 11)], 100)[-1] == (10, 8.0)


def test_no_number_is_left_out() -> None:
    assert spark([1.0, math.nan, 2.0, math.inf], 10) == "▁█"
    assert spark([math.nan], 10) == ""
    assert bar(0.01, 10).count("█") == 1
    assert bar(7.0, 10) == "█" * 10
