"""The app draws what job directories say; it starts, stops and deletes runs; no key crashes it."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from textual import events
from textual.css.query import NoMatches
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, Static

from gemmalocal.jobs import history, processes
from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import Finished, Step
from gemmalocal.workspace import preparations, runs
from tests import damaged
from tests.tui.recorded import RUNS, hold, prepared, record
from tui.app import GemmalocalApp
from tui.screens.compare import CompareScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.dataset import DatasetScreen
from tui.screens.documents import DocumentsScreen
from tui.screens.home import HomeScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.problem import ProblemScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.train import TrainScreen
from tui.widgets.run_table import RunTable

NAMES = {"?": "question_mark", "/": "slash"}  # as a terminal's keys are called
PAUSES = (0.0, 0.01, 0.01, 0.1)  # seconds
PATIENCE = float(os.environ.get("PATIENCE", 240))  # seconds that anything may take, on the busiest machine
KEYS = [
    *"ncdestgkxryR?/qjahlo",
    "enter",
    "escape",
    "tab",
    "up",
    "down",
    "left",
    "right",
    "space",
    "ctrl+p",
    "ctrl+t",
    "5",
]


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Wait until it is so; what a condition looks for need not be there yet."""

    def holds() -> bool:
        with suppress(NoMatches):
            return bool(condition())
        return False

    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it did not come to pass"
        await pilot.pause(0.05)


async def test_runs_are_listed_and_a_killed_one_says_why() -> None:
    record("good", RUNS["finished"])
    record("bad", RUNS["killed"], at=2e9)
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.screen.query_one(RunTable)
        await until(pilot, lambda: table.row_count == 2)
        assert [str(cell) for cell in table.get_row("good")][1] == "✓ done"
        assert "killed 58/100" in str(table.get_row("bad")[1])
        assert "ended without saying why" in str(app.screen.query_one("#detail", Static).content)


async def test_an_empty_workspace_welcomes_and_three_keys_start_a_run(
    recipe_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gemmalocal.recipe.recipe_file.FOLDERS", (recipe_path.parent,))
    recipe_path.rename(recipe_path.with_name("quotes.yaml"))
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.query_one("#welcome").display)
        await pilot.press("n")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "offers")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RecipeScreen) and app.focused is not None)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        folder = history.find_run("quotes-1")
    job = processes.Job(folder)  # the app is gone, the run goes on
    try:
        while job.alive:
            time.sleep(0.1)
        assert history.read(folder).status == "done"
    finally:
        job.kill()


async def test_a_live_run_is_followed_and_its_end_is_told_elsewhere() -> None:
    folder = record("alive", RUNS["live"])
    child = hold(folder)
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.query_one(RunTable).row_count)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.run)
        with (folder / "events.jsonl").open("a") as file:
            file.write(encode(Step(63, 100, 2.0, 80, 1e-4, 1.0, 2.0, 1), 1.0) + "\n")
        screen = app.screen
        assert isinstance(screen, TrainScreen)
        await until(pilot, lambda: screen.run and screen.run.state.steps[-1].step == 63)
        await pilot.press("s")
        assert '"stop"' in (folder / "inbox.jsonl").read_text()
        await pilot.press("escape")
        with (folder / "events.jsonl").open("a") as file:
            file.write(encode(Finished("stopped"), 1.0) + "\n")
        child.communicate("\n")
        await until(pilot, lambda: any("alive stopped" in note.message for note in app._notifications))


async def test_delete_asks_first() -> None:
    folder = record("old", RUNS["finished"])
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.query_one(RunTable).row_count)
        await pilot.press("x", "y")  # once they deleted
        assert app.screen is app.screen_stack[0]
        await pilot.press("delete", "n")
        assert folder.exists()
        for key in ("y", "enter"):  # no letter is a yes, and the focus begins on no
            await pilot.press("delete")
            assert isinstance(app.screen, ConfirmScreen)
            await pilot.press(key)
        await pilot.press("escape")
        assert folder.exists()
        await pilot.press("delete", "right", "enter")
        await until(pilot, lambda: not folder.exists())
        await until(pilot, lambda: app.screen.query_one("#welcome").display)
        await pilot.press("ctrl+z")
        await until(pilot, lambda: folder.exists() and app.screen.query_one(RunTable).row_count)
        assert not app.screen.check_action("undelete", ())


async def test_a_problem_stands_at_its_field(recipe_path: Path) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(80, 40)) as pilot:
        await app.push_screen(RecipeScreen(recipe_path))
        await pilot.pause()
        rank = next(field for field in app.screen.query(Input) if "lora.rank" in str(getattr(field, "HELP", "")))
        rank.value = "0"
        await until(pilot, lambda: app.screen.query(".problem"))
        assert "must be 1 or more" in str(app.screen.query_one(".problem", Static).content)
        assert app.screen.query_one("#start").disabled
        rank.value = "4"
        await until(pilot, lambda: not app.screen.query(".problem"))


@pytest.mark.parametrize(
    "place", ["home", "train", "problem", "recipe", "compare", "documents", "preparing", "dataset"]
)
async def test_no_key_crashes_it(place: str, recipe_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stay(app: GemmalocalApp) -> None:
        """Quit is what any key may rightly do, by itself or through the palette."""

    monkeypatch.setattr(GemmalocalApp, "action_quit", stay)
    folder = record("killed", RUNS["killed"])
    text = recipe_path.read_text().replace("rows.jsonl", "nowhere.jsonl")  # what is started fails early
    recipe_path.write_text(text)
    screens: dict[str, Callable[[], Screen[None]]] = {
        "train": lambda: TrainScreen(folder),
        "problem": lambda: ProblemScreen("title", "sentence", "remedy", folder),
        "recipe": lambda: RecipeScreen(recipe_path),
        "compare": lambda: CompareScreen([str(folder)]),
        "documents": DocumentsScreen,
        "preparing": lambda: PreparingScreen(prepared("docs", str(tiny))),
        "dataset": lambda: DatasetScreen(str(prepared("docs", str(tiny)))),
    }
    dice = random.Random(place)
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.query_one(RunTable).row_count)
        if place != "home":
            await app.push_screen(screens[place]())
        for _ in range(200):  # in bursts: most come before the one before them has had its effect
            key = dice.choice(KEYS)
            character = key if len(key) == 1 else " " if key == "space" else None
            app.post_message(events.Key(NAMES.get(key, key), character))
            await asyncio.sleep(dice.choice(PAUSES))
        await until(pilot, lambda: not app._busy)
        assert app.is_running
        assert isinstance(app.screen_stack[0], HomeScreen)
    for run in history.list_runs():
        processes.Job(run).kill()


async def test_the_app_refuses_to_delete_what_lives() -> None:
    folder = record("alive", RUNS["live"])
    child = hold(folder)
    with pytest.raises(Exception, match="is running"):
        runs.delete(folder)
    child.communicate("\n")
    assert folder.exists()


async def test_what_is_damaged_takes_nothing_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each damage in a run and in a preparation of its own, all in one app; recipes that cannot be read beside it."""
    monkeypatch.chdir(tmp_path)
    for number, (what, harm) in enumerate(damaged.DAMAGES.items()):
        harm(record(f"bad-{number}", RUNS["finished"], at=number))
        harm(prepared(f"bad-{number}"))
        assert what
    record("good", RUNS["finished"], at=2e9)
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "link.yaml").symlink_to("nowhere")
    app = GemmalocalApp()
    async with app.run_test(size=(120, 40)) as pilot:
        table = app.screen.query_one(RunTable)
        await until(pilot, lambda: table.row_count == len(damaged.DAMAGES) + 1)
        for _ in range(table.row_count):
            await pilot.press("down")
            assert app.is_running
        for keys in (("n", "escape"), ("t", "escape"), ("d", "ctrl+l", "escape", "escape"), ("c", "escape", "escape")):
            for key in keys:
                await pilot.press(key)
                await pilot.pause(0.3)
        screens: list[Screen[None]] = [TrainScreen(folder) for folder in history.list_runs()]
        for screen in [*screens, *map(PreparingScreen, preparations.list_all())]:
            await app.push_screen(screen)
            await pilot.pause(0.02)
            await app.pop_screen()
        assert app.is_running


async def test_a_folder_that_goes_away_under_the_app_does_not_end_it() -> None:
    folder = record("run-1", RUNS["live"])
    child = hold(folder)
    app = GemmalocalApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.screen.query_one(RunTable).row_count)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen) and app.screen.run)
        folder.rename(folder.with_name(".away"))
        await pilot.press("s", "g", "escape", "e", "escape", "c", "escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) or app.screen.is_current)
        await pilot.pause(0.5)
        assert app.is_running
    child.communicate("\n")
