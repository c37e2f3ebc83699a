"""Keys, pastes, clicks and resizes by a seeded die, on every screen: no fault, and nothing goes without a question.

MONKEY=2000 presses so many; the suite a few hundred, by a seed that MONKEY_SEED changes.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from textual import events
from textual.errors import NoWidget
from textual.pilot import Pilot
from textual.screen import Screen

from gemmalocal.files import paths
from gemmalocal.jobs import history, processes
from gemmalocal.workspace import datasets, preparations
from tests.tui.recorded import RUNS, exported, prepared, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.compare import CompareScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.dataset import DatasetScreen
from tui.screens.documents import DocumentsScreen
from tui.screens.export import ExportScreen
from tui.screens.home import HomeScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.train import TrainScreen
from tui.screens.verdict import VerdictScreen

DEEDS = int(os.environ.get("MONKEY", "250"))
SEED = os.environ.get("MONKEY_SEED", "17")
KEYS = [
    *"abcdefghijklmnopqrstuvwxzR0123456789/?=[]\\",
    *("enter", "escape", "escape", "tab", "shift+tab", "up", "down", "left", "right", "space", "home", "end"),
    *("pageup", "pagedown", "delete", "backspace", "f1", "ctrl+p", "ctrl+t", "ctrl+r", "ctrl+s", "ctrl+g", "ctrl+l"),
    *("ctrl+y", "ctrl+b", "ctrl+n", "ctrl+o", "ctrl+a", "ctrl+z"),
]
NAMES = {
    "/": "slash",
    "?": "question_mark",
    "=": "equals_sign",
    "[": "left_square_bracket",
    "]": "right_square_bracket",
}
PASTES = [
    "",
    "two\nlines",
    "[bold]x[/]",
    "\x1b[2J\x1b]0;title\x07",
    "9" * 400,
    "~/../..",
    "{a: [",
    "ü字👩‍👩‍👧\u202e",
    "-5",
]
SIZES = [(80, 24), (60, 15), (100, 30), (160, 50), (20, 6), (250, 70)]


def kept() -> tuple[set[Path], int]:
    """What must still be there: job folders, and rows on whatever side."""
    folders = {*history.list_runs(), *preparations.list_all()}
    rows = sum(len(datasets.read(folder / name)) for folder in preparations.list_all() for name in datasets.SIDES)
    return folders, rows


async def do(pilot: Pilot[None], dice: random.Random) -> None:
    """One deed."""
    kind, (width, height) = dice.random(), pilot.app.size
    if kind < 0.86:
        key = dice.choice(KEYS)
        character = key if len(key) == 1 else " " if key == "space" else None
        pilot.app.post_message(events.Key(NAMES.get(key, key), character))
    elif kind < 0.91:
        pilot.app.post_message(events.Paste(dice.choice(PASTES)))
    elif kind < 0.97:
        with suppress(NoWidget):  # a screen that was not laid out yet: there the app hears nothing of it
            await pilot.click(offset=(dice.randrange(width), dice.randrange(height)), times=dice.choice((1, 1, 2)))
    else:
        await pilot.resize_terminal(*dice.choice(SIZES))
    await asyncio.sleep(dice.choice((0.0, 0.0, 0.01)))


async def test_a_monkey_breaks_nothing(recipe_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stay(app: GemmalocalApp) -> None:
        """Quitting is what any key may rightly do."""

    monkeypatch.setattr(GemmalocalApp, "action_quit", stay)
    monkeypatch.setattr(ConfirmScreen, "dismiss", lambda screen, result=None: Screen.dismiss(screen, False))
    monkeypatch.chdir(recipe_path.parent)
    recipe_path.write_text(recipe_path.read_text().replace("rows.jsonl", "nowhere.jsonl"))  # nothing is trained
    for name, said in RUNS.items():
        record(name, said)
    run = record("tuned", RUNS["finished"], at=2e9)
    (run / "adapter").mkdir()
    exported(run, "adapter")
    dataset = prepared("docs", "/no/model")
    screens: list[Callable[[], Screen[None]]] = [
        lambda: TrainScreen(run), lambda: RecipeScreen(recipe_path), DocumentsScreen,
        lambda: PreparingScreen(dataset), lambda: DatasetScreen("docs"), lambda: CompareScreen([str(run)]),
        lambda: ExportScreen(run), lambda: VerdictScreen(run), lambda: TrainScreen(paths.runs() / "killed"),
    ]  # fmt: skip
    folders, rows = kept()
    dice = random.Random(SEED)
    app = GemmalocalApp()
    async with app.run_test(size=SIZES[0]) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.ready)
        for number in range(DEEDS):
            if number % (DEEDS // (len(screens) + 1) or 1) == 0 and (place := number * (len(screens) + 1) // DEEDS):
                await app.push_screen(screens[min(place, len(screens)) - 1]())
            await do(pilot, dice)
        await until(pilot, lambda: not app._busy)
        assert app.is_running
        assert app.return_code in (None, 0)
        assert isinstance(app.screen_stack[0], HomeScreen)
    now, rows_now = kept()
    assert folders <= now
    assert rows <= rows_now
    for folder in history.list_runs():
        processes.Job(folder).kill()
