"""What is meant to be muted is drawn muted, looked at in the segments that reach the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.color import Color
from textual.screen import Screen

from tests.tui.recorded import RUNS, exported, prepared, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.dataset import DatasetScreen
from tui.screens.export import ExportScreen
from tui.screens.pick import PickScreen
from tui.screens.preparing import PreparingScreen
from tui.screens.problem import ProblemScreen
from tui.screens.recipes import recipes
from tui.screens.train import TrainScreen
from tui.theme import DARK, LIGHT
from tui.widgets.export_list import ExportList

MUTED = (0.4, 0.8)  # how far from its background, as a share of what plain text is
OURS = {"train": "held-out loss", "export": "sample answers", "preparing": "the row has", "dataset": "evidence: six"}


def distance(app: GemmalocalApp, text: str) -> float:
    """By how much a text on the screen is brighter, or darker, than what is behind it, from 0 to 1."""
    segments = [segment for strip in app.screen._compositor.render_strips() for segment in strip]
    style = next(segment.style for segment in segments if text in segment.text)
    assert style is not None
    assert style.color is not None
    assert style.bgcolor is not None
    fore, back = (Color.from_rich_color(part) for part in (style.color, style.bgcolor))
    return abs(fore.brightness - back.brightness)


def plain(app: GemmalocalApp) -> float:
    """The same for text that is not muted."""
    fore, back = (Color.parse(app.theme_variables[name]) for name in ("foreground", "background"))
    return abs(fore.brightness - back.brightness)


def drawn(app: GemmalocalApp, text: str) -> Callable[[], bool]:
    """Whether a text is on the screen, in one segment."""
    return lambda: any(text in segment.text for strip in app.screen._compositor.render_strips() for segment in strip)


@pytest.mark.parametrize("theme", [DARK.name, LIGHT.name, "nord", "textual-light"])
async def test_muted_text_is_drawn_muted(theme: str) -> None:
    run = record("quotes", RUNS["finished"])
    (run / "adapter").mkdir()
    exported(run, "adapter")
    bee = {"text": "legs", "source": "/papers/bees.md", "evidence": "six"}
    folder = prepared("docs", "/no/model", [bee])
    screens: dict[str, Screen[Any]] = {
        "train": TrainScreen(run),
        "export": ExportScreen(run),
        "preparing": PreparingScreen(folder),
        "dataset": DatasetScreen(str(folder)),
    }
    least, most = MUTED
    app = GemmalocalApp()
    async with app.run_test(size=(100, 40)) as pilot:
        app.theme = theme
        distances: dict[str, float] = {}
        for name, screen in screens.items():
            await app.push_screen(screen)
            if name == "dataset":  # it first says that the model is not there
                await until(pilot, lambda: isinstance(app.screen, ProblemScreen))
                await pilot.press("escape")
            if name == "export":
                await until(pilot, lambda: app.screen.query_one(ExportList).option_count)
                await pilot.press("end")
            await until(pilot, drawn(app, OURS[name]))
            distances[OURS[name]] = distance(app, OURS[name])
            await app.pop_screen()
        await until(pilot, drawn(app, "Models"))
        distances["Models"] = distance(app, "Models")
        assert {text: far for text, far in distances.items() if not least < far / plain(app) < most} == {}


async def test_the_terminals_own_colours_are_left_to_it() -> None:
    app = GemmalocalApp()
    async with app.run_test() as pilot:
        app.theme = "ansi-dark"
        await pilot.pause()
        app.push_screen(PickScreen("Which?", recipes))
        await until(pilot, lambda: app.screen.query("#offers"))
        assert app.theme_variables["text-muted"].startswith("ansi_default")
