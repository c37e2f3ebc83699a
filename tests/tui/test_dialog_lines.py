"""Where a dialog asks for words, its foot says what Enter does with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input
from textual.widgets._footer import FooterKey

from gemmalocal.workspace.labels import Labels
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.ask_line import AskLineScreen
from tui.screens.ask_number import AskNumberScreen
from tui.screens.ask_path import AskPathScreen
from tui.screens.label import LabelScreen
from tui.screens.login import LoginScreen
from tui.screens.palette import Palette
from tui.screens.pick import PickScreen

DIALOGS: dict[str, tuple[str, Callable[[], Screen[Any]]]] = {
    "a line": ("Take", lambda: AskLineScreen("What?")),
    "a line for a search": ("Search", lambda: AskLineScreen("What?", taking="Search")),
    "a number": ("Go there", lambda: AskNumberScreen("Which?")),
    "a path": ("Save", lambda: AskPathScreen("Save as", Path("x.yaml"))),
    "about a run": ("Keep", lambda: LabelScreen("first", Labels())),
    "a token": ("Log in", lambda: LoginScreen(lambda: None)),
    "a token that is here": ("Try again", lambda: LoginScreen(lambda: None, is_here=True)),
    "a command": ("Do it", lambda: Palette("Commands", [])),
    "one of a list": ("Choose", lambda: PickScreen("Which?", lambda: [(Content("it"), "it")], "or a path")),
}


@pytest.mark.parametrize("name", sorted(DIALOGS))
async def test_enter_is_named(name: str) -> None:
    word, dialog = DIALOGS[name]
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(screen := dialog())
        await until(pilot, lambda: getattr(screen, "ready", True) and screen.query(Input))
        screen.query(Input).first().focus()
        await until(
            pilot,
            lambda: [key.description for key in screen.query(FooterKey) if key.key == "enter"] == [word],
        )
