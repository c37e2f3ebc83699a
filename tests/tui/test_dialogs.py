"""Dialogs close once, and a list in one bears any key in any room."""

from __future__ import annotations

import pytest
from textual.content import Content
from textual.widgets.option_list import Option

from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.home import HomeScreen
from tui.screens.pick import PickScreen
from tui.widgets.options import Options

OFFERS = [(Content(word), word) for word in ("one", "two", "three")]


async def test_of_two_clicks_on_a_dialog_the_first_counts() -> None:
    app = GemmalocalApp()
    given: list[str | None] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.ready)
        dialog = PickScreen("Which?", lambda: OFFERS)
        await app.push_screen(dialog, given.append)
        await until(pilot, lambda: dialog.ready)
        offered = dialog.query_one(Options)
        for place in (1, 2):  # both are under way before the dialog hears of the first
            offered.post_message(Options.OptionSelected(offered, offered.get_option_at_index(place), place))
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.pause(0.2)
        assert given == ["two"]
        assert len(app.screen_stack) == 1
        dialog.dismiss("three")
        assert given == ["two"]
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("key", ["pagedown", "pageup", "end", "home", "down", "up"])
async def test_a_list_without_room_bears_every_key(key: str) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = PickScreen("Which?", lambda: OFFERS)
        await app.push_screen(dialog)
        await until(pilot, lambda: dialog.ready)
        offered = dialog.query_one(Options)
        offered.styles.height = 0
        await until(pilot, lambda: not offered.scrollable_content_region)
        offered.highlighted = 1
        offered.add_option(Option("four"))
        await pilot.press(key)
        offered.styles.height = 4
        await until(pilot, lambda: offered.size.height == 4)
        await pilot.press("pagedown", "pageup")
        assert offered.highlighted == 0
