"""The trash as a list of home: what was deleted comes back, or goes for ever after a question."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot

from gemmalocal.workspace import runs, trash
from tests.tui.recorded import RUNS, prepared, record
from tests.tui.test_app import until
from tui.app import GemmalocalApp
from tui.screens.confirm import ConfirmScreen
from tui.screens.home import HomeScreen
from tui.widgets.shelf_table import ShelfTable
from tui.widgets.tab_line import TabLine


def home(pilot: Pilot[None]) -> HomeScreen:
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, HomeScreen)
    return screen


def deleted() -> list[str]:
    return [entry.name for entry in trash.entries()]


async def test_what_is_in_the_trash_comes_back_or_goes_for_ever() -> None:
    record("kept", RUNS["finished"])
    gone = [runs.delete(record(name, RUNS["finished"])).origin for name in ("one", "two")]
    runs.delete(prepared("docs"))
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: home(pilot).ready)
        assert not home(pilot).check_action("empty", ())
        await pilot.press("5")
        table = home(pilot).query_one(ShelfTable)
        await until(pilot, lambda: table.row_count == 3)

        async def at(name: str) -> None:
            table.move_cursor(row=[item.cells[0] for item in table._items].index(name))
            await until(pilot, lambda: (item := home(pilot).item) is not None and item.cells[0] == name)

        await at("one")
        await pilot.press("enter")
        await until(pilot, lambda: gone[0].is_dir() and table.row_count == 2)
        await at("two")
        await pilot.press("delete", "n")
        assert "two" in deleted()
        await pilot.press("delete", "right", "enter")
        await until(pilot, lambda: deleted() == ["docs"] and table.row_count == 1)
        await pilot.press("ctrl+e")
        assert isinstance(app.screen, ConfirmScreen)
        await pilot.press("right", "enter")
        await until(pilot, lambda: deleted() == [] and not table.display)
        assert home(pilot).query_one(TabLine).counts["Trash"] == 0
        assert not gone[1].exists()


async def test_the_trash_is_read_when_it_was_emptied_elsewhere(tmp_path: Path) -> None:
    runs.delete(record("one", RUNS["finished"]))
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: home(pilot).ready)
        await pilot.press("5")
        await until(pilot, lambda: home(pilot).item)
        trash.remove(trash.entries()[0])
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is not home(pilot))  # it says that it is gone
        await pilot.press("escape")
        assert app.is_running
