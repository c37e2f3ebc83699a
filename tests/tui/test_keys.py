"""The foot of every screen at 80 columns: how to get back, help and out is always there, whatever else is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.screen import Screen
from textual.widgets import Input
from textual.widgets._footer import FooterKey, FooterLabel

from tests.tui.recorded import RUNS, prepared, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.dataset import DatasetScreen
from tui.screens.documents import DocumentsScreen
from tui.screens.export import ExportScreen
from tui.screens.home import HomeScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.train import TrainScreen
from tui.screens.verdict import VerdictScreen
from tui.widgets.keys import Keys, width

PLACES = ["home", "train", "recipe", "documents", "preparing", "dataset", "export", "verdict"]


def screen_of(place: str, run: Path, recipe: Path) -> Screen[None]:
    """The screen by its name."""
    match place:
        case "train":
            return TrainScreen(run)
        case "recipe":
            return RecipeScreen(recipe)
        case "documents":
            return DocumentsScreen()
        case "preparing":
            return PreparingScreen(prepared("docs", "/no/model"))
        case "dataset":
            return DatasetScreen(str(prepared("docs", "/no/model")))
        case "verdict":
            return VerdictScreen(run)
    return ExportScreen(run)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("cells", [80, 44])
async def test_the_way_back_help_and_out_are_always_shown(place: str, cells: int, recipe_path: Path) -> None:
    run = record("killed", RUNS["killed"])
    app = GemmalocalApp()
    async with app.run_test(size=(cells, 24)) as pilot:
        home = app.screen
        await until(pilot, lambda: home.focused is not None)
        if place != "home":
            await app.push_screen(screen_of(place, run, recipe_path))
        wanted = {"Help", "Quit"} | ({"Back"} if place not in ("home", "train") else set())

        def shown() -> list[FooterKey]:
            return list(app.screen.query_one(Keys).query(FooterKey)) if app.screen.query(Keys) else []

        if place == "dataset":  # without its model it says so first
            await until(pilot, lambda: app.screen is not home and not isinstance(app.screen, DatasetScreen))
            await pilot.press("escape")
        await until(pilot, lambda: wanted <= {key.description for key in shown()})
        if place == "home":
            await until(pilot, lambda: isinstance(home, HomeScreen) and home.ready)
            await pilot.press("slash")  # its search is hidden until then
        if app.screen.query(Input) and place != "dataset":
            app.screen.query(Input).first().focus()  # where ? and q are written
            await until(pilot, lambda: {"f1", "ctrl+q"} <= {key.key for key in shown()})
            assert not {"question_mark", "q"} & {key.key for key in shown()}

        def taken() -> int:
            return sum(map(width, shown())) + 2 * len(app.screen.query_one(Keys).query(FooterLabel))

        await until(pilot, lambda: shown() and taken() <= cells)  # while they are drawn anew, some are there twice
