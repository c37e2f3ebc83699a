"""A list bears a click wherever it can be clicked, and on what was there a moment ago."""

from __future__ import annotations

from rich.style import Style
from textual import events
from textual.app import App, ComposeResult

from tui.widgets.shelf_table import Item, ShelfTable


class OfList(App[None]):
    """A list, and nothing else."""

    def compose(self) -> ComposeResult:
        yield ShelfTable()


def click(table: ShelfTable, row: int, column: int) -> events.Click:
    """A click on a cell as it was drawn last."""
    style = Style.from_meta({"row": row, "column": column, "out_of_bounds": True})
    return events.Click(table, 3, 1, 0, 0, 1, False, False, False, 3, 1, style)


async def test_a_click_on_what_is_not_there_any_more_does_nothing() -> None:
    app = OfList()
    async with app.run_test(size=(30, 6)) as pilot:
        shelf = app.query_one(ShelfTable)
        shelf.show(("name", "size"), [Item("one", ("one", "1")), Item("two", ("two", "2"))])
        for row in (-1, 0, 1, 7):
            for column in (0, 1, 9):
                shelf.post_message(click(shelf, row, column))
        await pilot.pause()
        assert shelf.current == Item("two", ("two", "2"))
        shelf.clear(columns=True)
        for row in (-1, 0, 1):
            shelf.post_message(click(shelf, row, 0))
        await pilot.pause()
        assert app.is_running


async def test_a_click_takes_what_is_there() -> None:
    app = OfList()
    async with app.run_test(size=(30, 6)) as pilot:
        shelf = app.query_one(ShelfTable)
        shelf.show(("name", "size"), [Item("one", ("one", "1")), Item("two", ("two", "2"))])
        for row, name in ((2, "two"), (1, "one"), (0, "one")):
            await pilot.click(ShelfTable, offset=(3, row))
            assert shelf.current is not None
            assert shelf.current.key == name
