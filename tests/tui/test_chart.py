"""The loss chart: any number of steps, no number among them, the right rows."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
from textual.app import App, ComposeResult

from gemmalocal.jobs.events import Evaluated, Step
from tui.series import SERIES, RunCurves, series_of
from tui.widgets.chart_grid import Form, Grid, Span, rounded_up, smoothed, span
from tui.widgets.choice import Choice
from tui.widgets.curve import MOST, Bucket, Curve
from tui.widgets.marks import bar, spark


def buckets(points: Iterable[tuple[float, float]]) -> list[Bucket]:
    curve = Curve()
    for point in points:
        curve.add(*point)
    return curve.buckets


def test_what_was_judged_is_drawn_where_something_was() -> None:
    judges = series_of({"objective": {"kind": "dpo"}})
    assert series_of({}) == series_of({"objective": {"kind": "sft"}}) == SERIES
    assert [series.name for series in judges[:5]] == ["loss", "right", "margin", "chosen", "rejected"]
    margin = judges[2]
    told = [{"margin": 0.5}, {"margin": 1.0}, None]  # one says nothing of it
    steps = [Step(n, 9, 1.0, 80, 1e-4, 2.0, 2.0, 10**9, preference=figures) for n, figures in enumerate(told, 1)]
    assert [bucket.low for bucket in RunCurves().curve(margin, steps).buckets] == [0.5, 1.0]
    assert margin.held_out is not None
    assert margin.held_out(Evaluated(2, 0.1, 9, {"margin": 3.0})) == 3.0


def test_a_spike_among_a_hundred_thousand_steps_is_seen() -> None:
    points = [(float(step), 9.0 if step == 54_321 else 2.0) for step in range(1, 100_001)]
    grid = Grid(60, 10, Span(0, 100_000), 2.0, 9.0)
    mask = grid.ranges(buckets(points))
    assert grid.cell(54_321, 9.0) in mask
    assert len([place for place in mask if place[1] == 0]) == 1


def test_every_step_is_in_a_column_and_the_line_is_joined() -> None:
    points = [(float(step), 1.0 * step) for step in (1, 50, 100)]
    grid = Grid(20, 8, Span(0, 100), 1.0, 100.0)
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


def test_the_axis_ends_where_the_run_is_and_does_not_jump() -> None:
    assert span("so far", 163, 4000) == (0, 200)
    assert {span("so far", now, 4000).last for now in range(161, 200)} == {200}
    assert span("so far", 3990, 4000) == (0, 4000)
    assert span("so far", 0, 100) == (0, 100)
    assert span("whole run", 163, 4000) == (0, 4000)
    assert span("newest part", 1000, 4000) == (800, 1000)
    assert all(rounded_up(count) >= count for count in range(1, 5000))


def test_on_a_logarithmic_scale_decades_are_as_high_as_each_other() -> None:
    grid = Grid(20, 30, Span(0, 10), 0.01, 100.0, logarithmic=True)
    rows = [grid.row(value) for value in (100.0, 1.0, 0.01)]
    assert abs((rows[1] - rows[0]) - (rows[2] - rows[1])) <= 1
    assert grid.row(0.0) == 4 * 30 - 1  # below everything
    labels = grid.labels(Form("{:.{digits}f}", 2), 6)
    assert float(labels[0]) > 100 > float(labels[12]) > 0.01


@pytest.mark.parametrize(("low", "high"), [(0.005, 0.04), (2.0, 6.0), (6.129, 6.131), (1e-6, 2e-6), (1.0, 1.0)])
def test_no_two_numbers_on_an_axis_are_alike(low: float, high: float) -> None:
    labels = Grid(20, 30, Span(0, 10), low, high).labels(Form("{:.{digits}f}", 2), 6).values()
    assert len(set(labels)) == len(labels) or high < 1e-4  # for such there is no room
    assert max(map(len, labels)) <= 6


def test_only_what_lies_in_the_span_is_drawn() -> None:
    points = [(float(step), float(step)) for step in range(1, 101)]
    grid = Grid(20, 10, Span(80, 100), 80.0, 100.0)
    columns = {column for column, _ in grid.ranges(buckets(points))}
    assert columns == set(range(20))
    assert grid.line([(1.0, 1.0), (2.0, 2.0)]) == {}


def test_curves_grow_by_what_is_new_and_follow_a_roll_back() -> None:
    steps = [Step(n, 100, 1.0 * n, 80, 1e-4, 2.0, 2.0, 10**9) for n in range(1, 21)]
    curves, (loss, rate, speed, memory, gradient) = RunCurves(), SERIES
    assert len(curves.curve(loss, steps[:10]).buckets) == 10
    assert len(curves.curve(loss, steps).buckets) == 20
    again = [*steps[:5], Step(6, 100, 99.0, 80, 1e-4, 2.0, 2.0, 10**9)]
    assert [bucket.sum for bucket in curves.curve(loss, again).buckets][-2:] == [5.0, 99.0]
    newest = [curves.curve(series, again).buckets[-1].sum for series in (rate, speed, memory, gradient)]
    assert newest == [1e-4, 40.0, 1.0, 2.0]


async def test_of_more_words_than_there_is_room_for_the_chosen_one_is_in_sight() -> None:
    words = ["loss", "right", "margin", "chosen", "rejected", "rate", "memory"]

    class Narrow(App[None]):
        def compose(self) -> ComposeResult:
            yield Choice(words, "loss")

    async with Narrow().run_test(size=(30, 3)) as pilot:
        choice = pilot.app.query_one(Choice)
        for word in [*words[1:], words[0]]:
            assert len(shown := choice.render().plain) <= 30
            assert f"[{choice.value}]" in shown
            assert shown.startswith("‹") == (f" {words[0]} " not in shown.replace("[", " ").replace("]", " "))
            await pilot.press("right")
            assert choice.value == word
        choice.value = "rejected"
        await pilot.pause()
        before = choice.render().plain
        await pilot.click(Choice, offset=(before.index("chosen"), 0))
        assert choice.value == "chosen"
