"""How long the app takes with much to show: 200 runs listed, 100,000 steps drawn, 100,000 rows looked at.

    python -m benchmarks.app_sizes

Without a terminal, at 160 by 50. The times are from the start of the app, or from the key that opens a screen, until
what is waited for is drawn; files are in the system's cache, as they were just written.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable

from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from benchmarks.key_to_paint import past
from gemmalocal.jobs.events import Finished
from tests.tui.recorded import RUNS, prepared, record
from tui.app import GemmalocalApp
from tui.screens.dataset import DatasetScreen
from tui.screens.problem import ProblemScreen
from tui.screens.train import TrainScreen
from tui.widgets.run_table import RunTable
from tui.widgets.title_line import TitleLine

SIZE = (160, 50)
RUNS_LISTED, STEPS, ROWS, PAGES = 200, 100_000, 100_000, 40
GLANCE, TOO_LONG = 0.005, 120.0  # seconds


async def until(pilot: Pilot[None], holds: Callable[[], object]) -> None:
    """Wait until it is so."""
    end = time.perf_counter() + TOO_LONG
    while not holds():
        if time.perf_counter() > end:
            raise TimeoutError("it was not drawn")
        await pilot.pause(GLANCE)


async def listed() -> float:
    """Seconds until all runs are in the list."""
    for number in range(RUNS_LISTED):
        record(f"run-{number}", RUNS["finished"], 1e9 + number)
    start = time.perf_counter()
    app = GemmalocalApp()
    async with app.run_test(size=SIZE) as pilot:
        table = app.screen.query_one(RunTable)
        await until(pilot, lambda: table.row_count == RUNS_LISTED)
        return time.perf_counter() - start


async def opened(pilot: Pilot[None], screen: Screen[None], holds: Callable[[], object]) -> float:
    """Seconds until a screen shows what is waited for."""
    start = time.perf_counter()
    await pilot.app.push_screen(screen)
    await until(pilot, holds)
    return time.perf_counter() - start


async def drawn() -> float:
    """Seconds until a run of many steps is drawn, once the app has seen it."""
    folder = record("long", [*past(STEPS), Finished("done")], 2e9)
    app = GemmalocalApp()
    async with app.run_test(size=SIZE) as pilot:
        table = app.screen.query_one(RunTable)
        await until(pilot, lambda: table.current and table.current.name == "long")
        screen = TrainScreen(folder)
        return await opened(pilot, screen, lambda: screen.run and str(screen.query_one("#numbers", Static).content))


async def looked_at() -> tuple[float, float]:
    """Seconds until the first of many rows is there, and for each page down after."""
    rows = [{"text": f"row {number}", "source": "/papers/bees.md"} for number in range(ROWS)]
    folder = prepared("many", "/no/model", rows, rows[:1])
    app = GemmalocalApp()
    async with app.run_test(size=SIZE) as pilot:
        screen = DatasetScreen(str(folder))
        words = f"row 1 of {ROWS:,}"
        first = await opened(pilot, screen, lambda: words in str(screen.query_one(TitleLine).right))
        await until(pilot, lambda: isinstance(app.screen, ProblemScreen))  # its model is not there
        await pilot.press("escape")
        start = time.perf_counter()
        await pilot.press(*["pagedown"] * PAGES, "end")
        await until(pilot, lambda: f"row {ROWS:,} of" in str(screen.query_one(TitleLine).right))
        return first, (time.perf_counter() - start) / (PAGES + 1)


async def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["GEMMALOCAL_HOME"] = home
        print(f"{RUNS_LISTED} runs listed after {await listed():.2f} s")
        print(f"{STEPS:,} steps drawn after {await drawn():.2f} s")
        first, page = await looked_at()
        print(f"{ROWS:,} rows: the first after {first:.2f} s, a page down in {1000 * page:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())
