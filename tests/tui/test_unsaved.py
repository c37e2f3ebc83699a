"""What was written is not lost by a stray key: Escape, q and ^q ask first, wherever the focus is."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, Static

from tests.tui.recorded import prepared
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.confirm import LeaveScreen
from tui.screens.dataset import DatasetScreen
from tui.screens.documents import DocumentsScreen
from tui.screens.edit_row import EditRowScreen
from tui.screens.help import HelpScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.problem import ProblemScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.report import ReportScreen
from tui.widgets.choice import Choice
from tui.widgets.sources import Sources


def field(screen: RecipeScreen, key: str) -> Input:
    """The line of a recipe's key."""
    return next(line for line in screen.query(Input) if f"**{key}**" in str(getattr(line, "HELP", "")))


@pytest.mark.parametrize("on", ["line", "choice", "help"])
async def test_edits_of_a_recipe_are_asked_about(on: str, recipe_path: Path) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(100, 40)) as pilot:
        screen = RecipeScreen(recipe_path)
        await app.push_screen(screen)
        await pilot.pause()
        rank = field(screen, "lora.rank")
        rank.value = "3"
        for key in ("escape", "q", "ctrl+q"):
            if on == "choice" or key == "q":  # on a line q is a letter
                screen.query(Choice).first().focus()
            else:
                rank.focus()
            if on == "help":  # over the screen: closed first by what leads back, and no way around the question
                app.action_help()
                await until(pilot, lambda: isinstance(app.screen, HelpScreen))
                await pilot.press("escape" if key == "ctrl+q" else key)
                assert app.screen is screen
            await pilot.pause()
            await pilot.press(key)
            assert isinstance(app.screen, LeaveScreen)
            await pilot.press("ctrl+q")  # one question is enough
            assert app.screen_stack[1:-1] == [screen]
            await pilot.press("n")
            assert app.screen_stack[1:] == [screen]
            assert app.is_running
        assert rank.value == "3"
        rank.value = "4"  # as in the file
        await pilot.press("escape")
        assert app.screen is not screen


async def test_what_was_saved_is_not_asked_about(recipe_path: Path) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(100, 40)) as pilot:
        screen = RecipeScreen(recipe_path)
        await app.push_screen(screen)
        await pilot.pause()
        field(screen, "lora.rank").value = "3"
        await pilot.pause()
        await pilot.press("ctrl+s")
        app.screen.query_one(Input).value = str(recipe_path.with_name("mine.yaml"))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("escape")
        assert app.screen is app.screen_stack[0]


async def test_sources_and_a_changed_row_are_asked_about(tmp_path: Path) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(100, 40)) as pilot:
        await app.push_screen(DocumentsScreen())
        await pilot.pause()
        app.screen.query_one(Sources).add([str(tmp_path)])
        await pilot.press("escape")
        assert isinstance(app.screen, LeaveScreen)
        await pilot.press("right", "enter")
        assert app.screen is app.screen_stack[0]
        await app.push_screen(EditRowScreen("Edit", "what?", "that."))
        await pilot.pause()
        await pilot.press("x", "escape")
        assert isinstance(app.screen, LeaveScreen)
        await pilot.press("n")
        assert isinstance(app.screen, EditRowScreen)
        await pilot.press("backspace", "escape")
        assert app.screen is app.screen_stack[0]


async def test_a_failed_check_is_one_dialog_and_waits_for_its_turn(recipe_path: Path) -> None:
    recipe_path.with_name("rows.jsonl").write_text("no row\n")
    app = GemmalocalApp()
    async with app.run_test(size=(100, 40)) as pilot:
        screen = RecipeScreen(recipe_path)
        await app.push_screen(screen)
        await pilot.pause()
        await pilot.press("ctrl+t")
        await pilot.press("ctrl+s")  # another dialog, before the check has ended
        asked = app.screen
        await until(pilot, lambda: not screen._checking)
        assert app.screen is asked
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen)
        assert isinstance(app.screen, ReportScreen | ProblemScreen)
        assert "is not JSON" in str([each.content for each in app.screen.query(Static)])
        await pilot.press("escape")
        assert app.screen_stack[1:] == [screen]


async def test_rows_lead_to_a_recipe() -> None:
    folder = prepared("docs", "/no/model")
    app = GemmalocalApp()
    async with app.run_test(size=(100, 40)) as pilot:
        await app.push_screen(PreparingScreen(folder))
        await until(pilot, lambda: isinstance(app.screen, PreparingScreen) and app.screen.check_action("train", ()))
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, RecipeScreen))
        assert isinstance(app.screen, RecipeScreen)
        assert app.screen.stem == "docs"
        assert field(app.screen, "data.path").value == str(folder)
        assert field(app.screen, "model").value == "/no/model"
        await pilot.press("escape", "escape")
        await app.push_screen(DatasetScreen("docs"))
        await until(pilot, lambda: isinstance(app.screen, ProblemScreen))  # there is no such model
        await pilot.press("escape", "t")
        await until(pilot, lambda: isinstance(app.screen, RecipeScreen))
