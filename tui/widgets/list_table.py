"""A table of things of which one is at hand: the base of the lists of home."""

from __future__ import annotations

from typing import Generic, TypeVar

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.widgets import DataTable

Thing = TypeVar("Thing")


class ListTable(DataTable[Text], Generic[Thing]):
    """The cursor is a row, of the thing at hand; letters and ends move it."""

    BINDINGS = [
        Binding("enter", "select_cursor", "Open"),
        Binding("home", "scroll_top", "First", show=False),
        Binding("end", "scroll_bottom", "Last", show=False),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row")
        self._items: list[Thing] = []  # a row each

    @property
    def current(self) -> Thing | None:
        """What is under the cursor."""
        return self._items[self.cursor_row] if 0 <= self.cursor_row < len(self._items) else None

    def on_click(self, event: events.Click) -> None:
        """An empty table's head can be clicked too, and columns may be fewer than were drawn: Textual fails there."""
        if event.style.meta.get("column", 0) >= len(self.columns):
            event.prevent_default()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where there is something to open."""
        return bool(self._items) if action == "select_cursor" else True
