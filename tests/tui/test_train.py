"""The screen of a run: it says what it does by name, shows where the run is, and reads its curves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from textual.widgets import OptionList, Static

from gemmalocal.jobs import history, processes
from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import Evaluated, Event, Finished, Sample, Stage, Started, Step
from gemmalocal.workspace.runs import Run
from tests.tui.recorded import RUNS, hold, learning, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.run_words import activity, doing, standing
from tui.screens.train import TrainScreen
from tui.widgets.choice import Choice
from tui.widgets.series_chart import SeriesChart

SPEC = {"train": {"evaluate_every": 25}, "samples": {"prompts": ["a", "b", "c", "d"]}}
BEGUN: list[Event] = [Started("train", 1, 1)]
STEPS = [Step(n, 100, 2.0, 80, 1e-4, 1.0, 2.0, 1) for n in range(1, 101)]
BEFORE = "answering the prompts before training"
FIRST = [Stage("training"), Evaluated(0, 3.0, 9)]


def run_of(events: list[Event], **more: object) -> Run:
    """A living run that has said so much."""
    state = history.JobState(alive=True)
    for event in [*BEGUN, *events]:
        history.fold(state, event)
    return dataclasses.replace(Run(Path("x"), SPEC, state, None, 100.0), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([], "starting"),
        ([Stage("loading the weights")], "loading the weights"),
        ([Stage(BEFORE)], f"{BEFORE} · 1 of 4"),
        ([Stage(BEFORE), Sample(0, "before", "a", "x", True)], f"{BEFORE} · 2 of 4"),
        ([Stage("training")], "measuring the loss before training"),
        (FIRST, "training"),
        ([*FIRST, *STEPS[:24]], "training"),
        ([*FIRST, *STEPS[:25]], "measuring the held-out loss"),
        ([*FIRST, *STEPS[:25], Evaluated(25, 2.0, 9)], "answering a prompt"),
        ([*FIRST, *STEPS[:25], Evaluated(25, 2.0, 9), Sample(25, "during", "a", "x", True)], "training"),
        ([*FIRST, *STEPS], "measuring the held-out loss"),
    ],
)
def test_what_goes_on_has_its_name(events: list[Event], says: str) -> None:
    assert activity(run_of(events)) == says


def test_a_run_that_measures_has_not_zero_seconds_left() -> None:
    assert "left" in standing(run_of([*FIRST, *STEPS[:99]]).state)
    assert "left" not in standing(run_of([*FIRST, *STEPS]).state)
    assert "starting" in standing(run_of([]).state)


def test_silence_is_counted_and_a_stop_stays_to_be_seen() -> None:
    assert doing(run_of([Stage("loading the weights")]), 101.0) == "loading the weights"
    assert doing(run_of([Stage("loading the weights")]), 142.0) == "loading the weights · 42 s"
    stopping = run_of([*FIRST, *STEPS[:9]], stopping=True)
    assert doing(stopping, 100.0).startswith("stopping")
    assert "stopping" in standing(stopping.state, True)


async def test_the_chart_zooms_reads_and_has_a_tab_for_each_series() -> None:
    record("long", learning(163, 4000), at=2e9)
    record("other", RUNS["finished"])
    app = GemmalocalApp()
    async with app.run_test(size=(110, 34)) as pilot:
        screen = TrainScreen(history.find_run("long"))
        await app.push_screen(screen)
        await until(pilot, lambda: screen.run)
        chart, legend = screen.query_one(SeriesChart), screen.query_one("#legend", Static)
        assert chart.shown == (0, 200)
        drawn = [strip.text for strip in chart._draw()]
        assert drawn[-2].split() == ["0", "100", "200"]
        assert drawn[-1].endswith("of 4,000")
        assert max(len(line.rstrip()) for line in drawn[:-2]) > 0.7 * chart.size.width  # the steps have the room
        await pilot.press("z", "z")
        assert chart.shown == (0, 4000)
        await pilot.press("z", "left")
        assert "step 163" in str(legend.content)
        await pilot.press("left", "left")
        assert chart.cursor is not None
        assert chart.cursor < 163
        assert "held-out" in str(legend.content)
        await pilot.press("escape", "tab")
        assert screen.query_one(Choice).value == "rate"
        await pilot.press("l", "shift+tab", "m")
        await until(pilot, lambda: app.screen.query(OptionList))
        await pilot.press("enter")
        await until(pilot, lambda: "other" in str(legend.content))
        assert [line.name for line in chart._lines] == ["long", "other"]
        await pilot.press("escape")
        assert app.screen is app.screen_stack[0]


async def test_stopping_is_said_until_it_has_stopped_wherever_it_was_asked() -> None:
    folder = record("alive", RUNS["live"])
    child = hold(folder)
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = TrainScreen(folder)
        await app.push_screen(screen)
        await until(pilot, lambda: screen.run)
        processes.Job(folder).ask(do="stop")  # as from a terminal
        await until(pilot, lambda: "stopping" in str(screen.query_one("#doing", Static).content))
        with (folder / "events.jsonl").open("a") as file:
            file.write(encode(Finished("stopped"), 1.0) + "\n")
        child.communicate("\n")
        await until(pilot, lambda: screen.run is not None and not screen.run.stopping)
        assert "stopping" not in str(screen.query_one("#doing", Static).content)
