"""`t` on a run shows it in a tracker: which there are, what each lacks, and how to look at what it was told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import OptionList, Static

from gemmalocal.jobs.events import Step
from gemmalocal.workspace import trackings
from tests.tracking.readers import READERS
from tests.tui.recorded import RUNS, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.pick import PickScreen
from tui.screens.problem import ProblemScreen
from tui.screens.train import TrainScreen


def offered(app: GemmalocalApp) -> list[str]:
    return [str(option.prompt) for option in app.screen.query_one(OptionList).options]


async def test_a_run_is_told_to_a_tracker_by_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trackings.PACKAGES, "wandb", ("a_package_that_nobody_has",))
    run: Path = record("quotes", RUNS["finished"])
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await app.push_screen(screen := TrainScreen(run))
        await until(pilot, lambda: screen.run is not None)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.ready)
        assert [words.split()[0] for words in offered(app)] == list(trackings.NAMES)
        assert [name for name in offered(app) if "not installed" in name] == [
            "wandb  not installed: pip install 'gemmalocal[wandb]'"
        ]
        await pilot.press("enter")
        await until(pilot, lambda: any("To look: tensorboard" in note.message for note in app._notifications))
        losses: list[Any] = [
            (event.step, pytest.approx(event.loss)) for event in RUNS["finished"] if isinstance(event, Step)
        ]
        assert READERS["tensorboard"](run)[0]["train/loss"] == losses
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.ready)
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, ProblemScreen))
        assert "pip install" in str(app.screen.query_one("#remedy", Static).content)
