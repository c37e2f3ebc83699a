"""A long list is there at once: of most runs only the end is read at first, and each says what it is once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import BinaryIO

import pytest
from textual.widgets import Static

from gemmalocal.files import safe_read
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Failed, Finished, Started
from gemmalocal.workspace.runs import Run
from tests.children import HANGS
from tests.tui.recorded import RUNS, hold, learning, record
from tests.tui.test_app import until
from tui import type_ahead, watch
from tui.app import GemmalocalApp
from tui.screens.home import HomeScreen
from tui.screens.train import TrainScreen
from tui.watch import GLANCE, Watcher
from tui.widgets.run_table import RunTable

LONG = "x" * 3 * GLANCE
KINDS: dict[str, list[Event]] = {
    **RUNS,
    "stopped": [*learning(30), Finished("stopped")],
    "resumed": [*RUNS["finished"], Started("train", 1, 2, step=100)],
    "told much": [*learning(30), Failed("GemmalocalError", LONG, "Try again.", 1)],
    "begun": [Started("train", 1, 1)],
    "empty": [],
}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """How often each file of a job was opened."""
    counts: Counter[Path] = Counter()
    regular = safe_read.regular

    def counting(path: Path) -> BinaryIO:
        counts[path] += 1
        return regular(path)

    monkeypatch.setattr(safe_read, "regular", counting)
    return counts


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look reads one run."""
    monkeypatch.setattr(watch, "AT_ONCE", 1)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_glance_tells_how_a_run_stands(kind: str, in_turn: None) -> None:
    record("newest", RUNS["finished"], 2e9)
    folder = record("run", KINDS[kind])
    watcher = Watcher()
    newest, glanced = watcher.look()
    assert (newest.whole, newest.state) == (True, history.read(newest.folder))
    assert glanced.whole == (kind in ("told much", "empty"))  # their ends do not tell
    _, whole = watcher.look()
    assert whole.whole
    assert whole.state == history.read(folder)
    assert glanced.state.status == whole.state.status
    assert glanced.state.steps[-1:] == whole.state.steps[-1:]
    assert (glanced.name, glanced.spec, glanced.at) == (whole.name, whole.spec, whole.at)
    assert str(glanced.trouble) == str(whole.trouble)
    assert watcher.look()[1] is whole


def test_a_live_run_is_told_from_a_killed_one_at_a_glance(in_turn: None) -> None:
    record("newest", RUNS["finished"], 2e9)
    child = hold(record("alive", RUNS["live"]))
    assert [run.name for run in Watcher().look() if run.state.status == "live"] == ["alive"]
    child.communicate("\n")


def test_a_file_is_opened_once_and_events_once_a_look(opened: Counter[Path], in_turn: None) -> None:
    folders = [record(f"run-{number}", RUNS["finished"], 1e9 + number) for number in range(5)]
    watcher = Watcher()
    looks = [watcher.look() for _ in folders]
    assert [sum(run.whole for run in look) for look in looks] == [1, 2, 3, 4, 5]
    events = [path for path in opened.elements() if path.name == "events.jsonl"]
    assert {opened[folder / "job.json"] for folder in folders} == {1}
    assert opened[folders[-1] / "events.jsonl"] == len(looks)  # for what is new in it
    assert len(events) == sum(range(1, len(looks) + 1)) + len(folders) - 1  # the glances
    assert watcher.look() == looks[-1]


async def test_home_lists_what_is_not_read_yet_and_keys_wait_for_what_they_act_on(
    in_turn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [record(f"run-{number:02}", RUNS["finished"], 1e9 + number).name for number in range(12)]
    read: list[int] = []
    show = HomeScreen.show_runs

    def counting(home: HomeScreen, runs: list[Run]) -> None:
        read.append(sum(run.whole for run in runs))
        show(home, runs)

    monkeypatch.setattr(HomeScreen, "show_runs", counting)
    monkeypatch.setattr(type_ahead, "PATIENCE", HANGS)
    app = GemmalocalApp()
    async with app.run_test(size=(120, 30)) as pilot:
        table = app.screen.query_one(RunTable)
        await until(pilot, lambda: table.row_count == len(names))
        assert {str(table.get_row(name)[1]) for name in names} == {"✓ done"}
        await pilot.press("end", "enter")  # to the oldest, which is read last
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.run)
        assert isinstance(app.screen, TrainScreen)
        assert app.screen.run is not None
        assert app.screen.run.whole
        assert "held-out" in str(app.screen.query_one("#numbers", Static).content)
        assert list(dict.fromkeys(read)) == list(range(1, 13))
