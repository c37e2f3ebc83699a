"""The app lists runs, and says plainly what is not there yet."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import DataTable

from gemmalocal.events import Evaluated, Finished, Started, Step, encode
from tui.app import GemmalocalApp


async def test_runs_are_listed(workspace: Path) -> None:
    folder = workspace / "runs" / "quotes-1"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text("{}")
    events = [Started("train", 1, 1), Step(5, 5, 2.0, 9, 1e-4, 1.0, 0.1, 1), Evaluated(5, 2.5, 9), Finished("done")]
    (folder / "events.jsonl").write_text("".join(encode(event, 1.0) + "\n" for event in events))
    app = GemmalocalApp()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert app.query_one(DataTable).get_row_at(0) == ["quotes-1", "done", "5/5", "2.500"]
        await pilot.press("q")


async def test_an_empty_workspace_is_fine() -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("r", "down", "up")
        assert app.query_one(DataTable).row_count == 0
