"""The report on a run in the app: none yet, one that is being made, one that is there; and its word among the runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Static

from gemmalocal.evaluation.conclude import conclude
from gemmalocal.evaluation.measured import Measured
from gemmalocal.evaluation.metrics import metric
from gemmalocal.jobs.events import Finished, Progress, Started
from gemmalocal.jobs.events import Stage as StageEvent
from gemmalocal.workspace import reports
from tests.evaluation.test_verdict import answered, questions, rows, texts
from tests.tui.drawn import Arrive, Stage, check, nowhere
from tests.tui.recorded import record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.verdict import VerdictScreen

QUOTES = ["Be kind.", "Imagination is more important than knowledge.", "Well begun is half done.", "Know thyself."]


def reported(run: Path) -> None:
    """A report on rows that were planted: most better, some broken, little forgotten."""
    count = 40
    references = [f"{QUOTES[number % 4]} ({number})" for number in range(count)]
    pairs = [
        (text if number % 7 == 0 else "It is a way of life.", "It is what it is.\nAuthor:" if number % 9 == 0 else text)
        for number, text in enumerate(references)
    ]
    given = answered(rows(-0.4, count=count), pairs, references)
    figures = conclude(Measured(given, texts(0.03), questions(2, 1)), metric("exact", references))
    about = {"run": "quotes-1", "at": "2024-01-01 10:00", "settings": {}, "hashes": {}}
    folder = run / reports.FOLDER
    folder.mkdir(exist_ok=True)
    (folder / reports.FIGURES).write_text(json.dumps({**figures, **about}), encoding="utf-8")


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


async def test_verdict_that_is_there(stage: Stage) -> None:
    run = stage.learned(last=Finished("done"))
    reported(run)
    await check("verdict", verdict(run))
    await check("home-verdict", nowhere)


async def test_the_word_among_the_runs_comes_and_goes(stage: Stage) -> None:
    run = stage.learned(last=Finished("done"))
    app = GemmalocalApp()
    async with app.run_test() as pilot:
        detail = app.screen.query_one("#detail", Static)
        await until(pilot, lambda: "done" in str(detail.content))
        assert "helps" not in str(detail.content)
        reported(run)
        await until(pilot, lambda: "helps" in str(detail.content))
        adapter = run / "adapter" / "adapter_model.safetensors"
        later = reports.made_at(run) + 60
        os.utime(adapter, (later, later))  # it was trained further
        assert reports.verdict(run) == ""
