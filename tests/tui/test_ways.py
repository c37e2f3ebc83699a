"""The palette has every action, help begins with what a screen is for, and letters lead to every place."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static

import tui.screens
from gemmalocal.workspace.labels import Labels
from tests.tui.recorded import RUNS, exported, prepared, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.commands import help_of, is_ours
from tui.screens.documents import DocumentsScreen
from tui.screens.export import ExportScreen
from tui.screens.help import HelpScreen
from tui.screens.home import HomeScreen
from tui.screens.jump import JumpScreen
from tui.screens.label import LabelScreen
from tui.screens.new_run import NewRunScreen
from tui.screens.palette import Palette
from tui.screens.preparing import PreparingScreen
from tui.screens.purposes import PURPOSES, purpose_of
from tui.screens.recipe import RecipeScreen
from tui.screens.run_screen import AppScreen, FolderScreen, MadeOfRunScreen, OneRunScreen, RunScreen
from tui.screens.train import TrainScreen
from tui.widgets.run_table import RunTable
from tui.widgets.sources import PathInput

BASES = (AppScreen, RunScreen, FolderScreen, MadeOfRunScreen, OneRunScreen)


def all_kinds(kind: type[Screen[None]]) -> set[type[Screen[None]]]:
    return {kind}.union(*(all_kinds(each) for each in kind.__subclasses__()))


def test_every_screen_says_what_it_is_for() -> None:
    for module in pkgutil.iter_modules(tui.screens.__path__):
        importlib.import_module(f"tui.screens.{module.name}")
    leaves = [kind for kind in all_kinds(AppScreen) if not kind.__subclasses__() and kind not in BASES]
    assert len(leaves) >= 9
    assert [kind.__name__ for kind in leaves if kind.__name__ not in PURPOSES] == []


async def test_the_palette_has_every_action_first_and_runs_and_recipes_by_letters() -> None:
    for name in ("quotes-1", "quotes-2"):
        record(name, RUNS["finished"])
    app = GemmalocalApp()
    async with app.run_test(size=(120, 60)) as pilot:
        home = app.screen
        assert isinstance(home, HomeScreen)
        await until(pilot, lambda: home.query_one(RunTable).row_count and app._recipes)
        shown = {
            active.binding.description
            for active in home.active_bindings.values()
            if active.node is home and active.enabled and is_ours(active)
        }
        await pilot.press("ctrl+p")
        palette = app.screen
        assert isinstance(palette, Palette)
        words = [command.words for command in palette._listed]
        assert shown - {"Show all"} <= set(words)
        assert {"Open", "Help", "Quit", "Theme", "Jump to a field"} <= set(words)
        assert all(command.about for command in palette._listed if command.words != "Open")
        assert not any("quotes" in word for word in words)
        await pilot.press(*"quotes")
        listed = [command.words for command in palette._listed]
        assert {"Open quotes-1", "Open quotes-2", "New run by quotes"} <= set(listed)
        options = palette.query_one("#commands", OptionList)
        await pilot.press("down", "up")
        assert options.highlighted == 0
        palette.query_one(Input).value = "nothing is called so"
        await until(pilot, lambda: not palette._listed)
        await pilot.press("enter", "down")
        palette.query_one(Input).value = "again changed"
        await pilot.pause()
        await pilot.press("escape")
        assert app.screen is home


async def test_help_begins_with_prose_and_lists_the_screens_keys() -> None:
    record("quotes-1", RUNS["finished"])
    app = GemmalocalApp()
    async with app.run_test(size=(100, 40)) as pilot:
        await until(pilot, lambda: app.screen.query_one(RunTable).row_count)
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        text = app.screen.query_one(Static)
        said = str(text.content)
        assert said.startswith("Here you see all that you have trained")
        assert said.index("Keys") < said.index("New run:") < said.index("Moving about")
        assert "**" not in said
        await pilot.press("question_mark")
        assert isinstance(app.screen, HomeScreen)


async def test_every_place_that_can_have_the_focus_has_help(recipe_path: Path) -> None:
    run = record("quotes-1", RUNS["finished"])
    (run / "adapter").mkdir()
    exported(run, "adapter")
    screens: list[Screen[Any]] = [
        TrainScreen(run),
        RecipeScreen(recipe_path),
        DocumentsScreen(),
        PreparingScreen(prepared("docs")),
        ExportScreen(run),
        NewRunScreen(),
        LabelScreen("quotes-1", Labels()),
    ]
    app = GemmalocalApp()
    async with app.run_test(size=(100, 40)) as pilot:
        await until(pilot, lambda: app.screen.query_one(RunTable).row_count)
        silent = [f"home: {place}" for place in app.screen.focus_chain if not help_of(place)]
        for screen in screens:
            app.push_screen(screen)
            await until(pilot, lambda screen=screen: screen.is_mounted and screen.is_current)  # type: ignore[misc]
            await pilot.pause()
            assert purpose_of(screen)
            silent += [f"{type(screen).__name__}: {place}" for place in screen.focus_chain if not help_of(place)]
            while len(app.screen_stack) > 1:
                await app.pop_screen()
        assert silent == []


@pytest.mark.parametrize("leads", [True, False])
async def test_a_letter_leads_to_a_place(leads: bool) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(100, 40)) as pilot:
        await app.push_screen(screen := DocumentsScreen())
        await until(pilot, lambda: isinstance(app.focused, PathInput))
        before = app.focused
        await pilot.press("f2")
        jump = app.screen
        assert isinstance(jump, JumpScreen)
        assert len(jump._places) > 5
        letter, place = list(jump._places.items())[3]
        await pilot.press(letter if leads else "escape")
        assert app.screen is screen
        assert app.focused is (place if leads else before)
