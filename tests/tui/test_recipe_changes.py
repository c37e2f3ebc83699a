"""What one run's recipe says otherwise than another's, told from home and from the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gemmalocal.recipe.differences import Difference, differences
from tests.tui.recorded import RUNS, SPEC, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.pick import Offered, PickScreen
from tui.screens.report import ReportScreen
from tui.screens.train import TrainScreen
from tui.widgets.run_table import RunTable


def with_recipe(name: str, at: float, **sections: Any) -> Path:
    """A finished run by the usual recipe, with other sections."""
    folder = record(name, RUNS["finished"], at)
    (folder / "job.json").write_text(json.dumps({"kind": "train", "spec": {**SPEC, **sections}}))
    return folder


def test_what_differs_is_told_by_key() -> None:
    first = {"model": "a", "lora": {"rank": 8, "alpha": 16}, "samples": {"prompts": ["x"]}}
    second = {"model": "a", "lora": {"rank": 16, "alpha": 16}, "train": {"steps": 5}}
    assert differences(first, first) == []
    assert differences(first, second) == [
        Difference("lora.rank", 8, 16),
        Difference("samples.prompts", ["x"], None),
        Difference("train.steps", None, 5),
    ]


async def test_two_runs_recipes_are_held_against_each_other() -> None:
    with_recipe("other", 3e8)
    with_recipe("quotes-1", 2e8, lora={"rank": 8})
    folder = with_recipe("quotes-2", 4e8, lora={"rank": 16})
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.screen.query_one(RunTable).row_count == 3)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, PickScreen) and app.screen.ready)
        first = app.screen.query_one(Offered).get_option_at_index(0)
        assert first.id == "quotes-1"  # of the same name, before it
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReportScreen))
        report = app.screen
        assert isinstance(report, ReportScreen)
        (line,) = [line for line in report._text.plain.splitlines() if line.startswith("lora.rank")]
        assert line.split() == ["lora.rank", "8", "16"]
        assert "held-out loss" in report._text.plain
        await pilot.press("escape")
        await app.push_screen(screen := TrainScreen(folder))
        await until(pilot, lambda: screen.run)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
