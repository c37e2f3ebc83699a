"""Work that outlives what started it."""

from __future__ import annotations

import asyncio
import gc
from functools import partial

import pytest
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
        run_in_background(app, watch)
        await pilot.pause()
    assert seen
    assert not app.screen_stack


async def test_of_an_exclusive_group_what_never_had_its_turn_is_not_begun(recwarn: pytest.WarningsRecorder) -> None:
    begun = []

    async def work(number: int) -> None:
        begun.append(number)

    app: App[None] = App()
    async with app.run_test() as pilot:
        for number in range(3):
            run_in_background(app, partial(work, number), group="plan", exclusive=True)
        await pilot.pause()
    gc.collect()
    assert begun == [2]
    assert not [warning for warning in recwarn if "never awaited" in str(warning.message)]
