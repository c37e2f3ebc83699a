"""The report on a run in the app: none yet, and one that is being made."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Static

from gemmalocal.jobs.events import Finished, Progress, Started
from gemmalocal.jobs.events import Stage as StageEvent
from gemmalocal.workspace import reports
from tests.tui.drawn import Arrive, Stage, check
from tests.tui.recorded import record
from tests.tui.test_app import until
from tui.screens.verdict import VerdictScreen


def verdict(run: Path, *words: str) -> Arrive:
    """Look at a run's report."""

    async def arrive(pilot: Pilot[None]) -> None:
        screen = VerdictScreen(run)
        await pilot.app.push_screen(screen)
        await until(pilot, lambda: screen.ready and str(screen.query_one("#about", Static).content))
        await pilot.press(*words)

    return arrive


async def test_verdict(stage: Stage) -> None:
    run = stage.learned(last=Finished("done"))
    await check("verdict-none", verdict(run))
    made = [Started("report", 1, 1), StageEvent("answering the held-out rows")]
    job = record(f"quotes-1/{reports.FOLDER}", [*made, Progress("answers to held-out rows", 24, 80, 95.0)])
    stage.live(job)
    await check("verdict-live", verdict(run))
