"""Datasets, models or recipes as rows of a table; the cursor stays on its item while they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text

from tui.widgets.list_table import ListTable

GAP = 2  # cells between two columns
FIRST, LAST = 12, 8  # cells that these columns have at least, if they want them


class Item(NamedTuple):
    """One of a list: what it is known by, its columns, and what more is said of it as labels and words."""

    key: str
    cells: tuple[str, ...]
    about: tuple[tuple[str, str], ...] = ()


class ShelfTable(ListTable[Item]):
    """Handed items by `show`; the last column takes what room is left."""

    HELP = "What there is to begin with. **Enter** opens the one under the cursor; **1** leads back to the runs."

    def __init__(self) -> None:
        super().__init__()
        self._labels: Sequence[str] = ()
        self._drawn: tuple[object, ...] = ()

    def on_resize(self) -> None:
        """Another width."""
        self.show(self._labels, self._items)

    def show(self, labels: Sequence[str], items: list[Item]) -> None:
        """Draw these, if they are others."""
        drawn = (self.size.width, tuple(labels), tuple(item.cells for item in items))
        selected, row = self.current, self.cursor_row
        same = tuple(labels) == tuple(self._labels)
        self._labels, self._items = labels, items
        if drawn == self._drawn or not self.size.width or not labels:
            return
        self._drawn = drawn
        self.clear(columns=True)
        natural = [
            max(len(text) for text in column) for column in zip(labels, *(item.cells for item in items), strict=True)
        ]
        widths = columns(natural, self.size.width - 1)  # of a scroll bar
        for label, width in zip(labels, widths, strict=False):
            self.add_column(label, width=width)
        for item in items:
            cells = item.cells[: len(widths)]
            self.add_row(*(Text(text, no_wrap=True, overflow="ellipsis") for text in cells), key=item.key)
        keys = [item.key for item in items]
        if same and items:
            self.move_cursor(row=keys.index(selected.key) if selected and selected.key in keys else row)


def columns(natural: Sequence[int], room: int) -> list[int]:
    """Widths of as many columns as there is room for: the first gives way, the last takes what is left."""
    for count in range(len(natural), 1, -1):
        between, last = sum(natural[1 : count - 1]), natural[count - 1]
        left = room - GAP * count - between
        if min(natural[0], FIRST) + min(last, LAST) <= left:
            first = min(natural[0], max(min(natural[0], FIRST), left - last, left // 2))
            return [first, *natural[1 : count - 1], left - first]
    return [max(1, room - GAP)]
