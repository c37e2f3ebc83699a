"""Work that outlives what started it."""

from __future__ import annotations

import asyncio

from textual.app import App

from tui.background import run_in_background


async def test_work_of_an_app_that_is_ending_has_no_screen_and_says_nothing() -> None:
    seen = []

    async def watch() -> None:
        while True:
            seen.append(app.screen)
            await asyncio.sleep(0)

    app: App[None] = App()
    async with app.run_test() as pilot:
        run_in_background(app, watch())
        await pilot.pause()
    assert seen
    assert not app.screen_stack
