"""Keys, pastes, clicks and resizes by a seeded die, on every screen: no fault, and nothing goes without a question.

MONKEY=2000 presses so many; the suite a few hundred, by a seed that MONKEY_SEED changes.
"""

from __future__ import annotations

import asyncio
import os
import pkgutil
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.binding import Binding
from textual.dom import DOMNode
from textual.errors import NoWidget
from textual.pilot import Pilot
from textual.screen import Screen

import tui
from gemmalocal.files import paths
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.events import Stage, Started, Trial, Tried
from gemmalocal.workspace import datasets, preparations
from tests.tui.recorded import RUNS, exported, prepared, record, voted
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.compare import CompareScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.dataset import DatasetScreen
from tui.screens.dialog import Dialog
from tui.screens.documents import DocumentsScreen
from tui.screens.export import ExportScreen
from tui.screens.home import HomeScreen
from tui.screens.login import LoginScreen
from tui.screens.models import ModelsScreen
from tui.screens.new_run import NewRunScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.review import ReviewScreen
from tui.screens.train import TrainScreen
from tui.screens.verdict import VerdictScreen

DEEDS = int(os.environ.get("MONKEY", "208"))
SEED = os.environ.get("MONKEY_SEED", "17")
TYPED = [*"abcdefghijklmnopqrstuvwxzR0123456789/?=[]\\", "escape", "escape", "space", "ctrl+a"]  # a way back, often
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


def kinds(of: type[Any]) -> Iterator[type[Any]]:
    """A class and all that are made of it."""
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


def keys() -> list[str]:
    """What is typed, and every key that some screen or widget of the app answers to."""
    for module in pkgutil.walk_packages(tui.__path__, "tui."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    bindings = [Binding.make_bindings(kind.__dict__.get("BINDINGS", ())) for kind in kinds(DOMNode)]
    bound = {binding.key for of_kind in bindings for binding in of_kind}
    return [*TYPED, *sorted(bound.difference(map(name_of, TYPED)))]


def name_of(key: str) -> str:
    """What Textual calls a key."""
    return NAMES.get(key, key)


def kept() -> tuple[int, int]:
    """What must still be there: job folders, whatever they are called by now, and rows on whatever side."""
    folders = len(history.list_runs()) + len(preparations.list_all())
    rows = sum(len(datasets.read(folder / name)) for folder in preparations.list_all() for name in datasets.SIDES)
    return folders, rows


async def do(pilot: Pilot[None], dice: random.Random, pressed: Sequence[str]) -> None:
    """One deed."""
    kind, (width, height) = dice.random(), pilot.app.size
    if kind < 0.86:
        key = dice.choice(pressed)
        character = key if len(key) == 1 else " " if key == "space" else None
        pilot.app.post_message(events.Key(name_of(key), character))
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
    monkeypatch.setattr(ConfirmScreen, "dismiss", lambda screen, result=None: Dialog.dismiss(screen, False))
    monkeypatch.chdir(recipe_path.parent)
    recipe_path.write_text(recipe_path.read_text().replace("rows.jsonl", "nowhere.jsonl"))  # nothing is trained
    demo = paths.models() / "gemma-3-270m-demo"  # nor with the real weights: a run of these ends at once
    demo.mkdir(parents=True)
    (demo / "config.json").write_text('{"model_type": "none"}')
    for name, said in RUNS.items():
        record(name, said)
    run = record("tuned", RUNS["finished"], at=2e9)
    (run / "adapter").mkdir()
    exported(run, "adapter")
    dataset = prepared("docs", "/no/model")
    voted([("chat-1", 2)])
    trial = Trial(0, 0, "learning_rate 1", 1, 3, 3.5)
    searched = record("searched", [Started("train", 1, 1), Stage("searching"), trial, Tried(0, 0, trial.words, 3, 2.5)])
    screens: list[Callable[[], Screen[Any]]] = [
        lambda: TrainScreen(run), lambda: RecipeScreen(recipe_path), DocumentsScreen,
        lambda: PreparingScreen(dataset), lambda: DatasetScreen("docs"), lambda: CompareScreen([str(run)]),
        lambda: ExportScreen(run), lambda: VerdictScreen(run), lambda: TrainScreen(paths.runs() / "killed"),
        ModelsScreen, lambda: LoginScreen(lambda: None), NewRunScreen, lambda: ReviewScreen(dataset),
        lambda: DatasetScreen("votes"), lambda: TrainScreen(searched),
    ]  # fmt: skip
    folders, rows = kept()
    dice, pressed = random.Random(SEED), keys()
    app = GemmalocalApp()
    async with app.run_test(size=SIZES[0]) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.ready)
        for number in range(DEEDS):
            if number % (DEEDS // (len(screens) + 1) or 1) == 0 and (place := number * (len(screens) + 1) // DEEDS):
                await app.push_screen(screens[min(place, len(screens)) - 1]())
                assert {*app.screen.active_bindings} <= {*map(name_of, pressed)}
            await do(pilot, dice, pressed)
        await until(pilot, lambda: not app._busy)
        assert app.is_running
        assert app.return_code in (None, 0)
        assert isinstance(app.screen_stack[0], HomeScreen)
    now, rows_now = kept()
    assert folders <= now
    assert rows <= rows_now
    for folder in history.list_runs():
        processes.Job(folder).kill()
