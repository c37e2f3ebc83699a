"""Keys that are typed faster than screens open: all at once here, before the app has looked at anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from gemmalocal.jobs import history, processes
from tests.tui.recorded import RUNS, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.documents import DocumentsScreen
from tui.screens.home import HomeScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.train import TrainScreen


def typed(app: GemmalocalApp, *keys: str) -> None:
    """As a terminal hands them on that was not read for a while."""
    for key in keys:
        app.post_message(events.Key(key, key if len(key) == 1 else None))


async def test_the_three_keys_at_once_start_a_run(recipe_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gemmalocal.recipe.recipe_file.FOLDERS", (recipe_path.parent,))
    recipe_path.rename(recipe_path.with_name("quotes.yaml"))
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        typed(app, "n", "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen))
        processes.Job(history.find_run("quotes-1")).kill()


async def test_keys_wait_for_the_runs_and_each_for_the_screen_before_it(recipe_path: Path) -> None:
    record("old", RUNS["finished"])
    recipe = history.find_run("old") / "recipe.yaml"
    recipe.write_text(recipe_path.read_text())
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        typed(app, "enter", "escape", "delete", "n", "n", "end", "enter")
        await until(pilot, lambda: isinstance(app.screen, RecipeScreen))
        assert recipe.exists()
        typed(app, "escape", "d", *"papers", "escape", "right", "enter", "delete", "right", "enter")
        await until(pilot, lambda: not recipe.exists())
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


async def test_what_is_written_keeps_its_order() -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        typed(app, "d", *"abcdefghijklmnopqrstuvwxyz", "left", "backspace")
        await until(pilot, lambda: isinstance(app.screen, DocumentsScreen) and app.screen.query("PathInput"))
        line = app.screen.query_one("PathInput", Input)
        await until(pilot, lambda: line.value == "abcdefghijklmnopqrstuvwxz")


async def test_a_run_that_is_never_seen_does_not_swallow_escape() -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(TrainScreen(Path("/no/run")))
        typed(app, "escape", "d")
        await until(pilot, lambda: isinstance(app.screen, DocumentsScreen))


async def test_a_key_that_is_on_its_way_when_the_app_ends_is_no_fault() -> None:
    app = GemmalocalApp()
    async with app.run_test():
        pass
    key = events.Key("x", "x")
    key._set_forwarded()
    assert not app.screen_stack
    await app.on_event(key)
