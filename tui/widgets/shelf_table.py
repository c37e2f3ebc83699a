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
    """Handed items by `show`; the last column takes what room is left.

    Where there is not room for all columns, those that `LEAVE_OUT` names go first, then the last.
    """

    LEAVE_OUT: tuple[str, ...] = ()

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
        spare = [labels.index(label) for label in self.LEAVE_OUT if label in labels]
        widths = columns(natural, self.size.width - 1, spare)  # of a scroll bar
        for at, width in widths.items():
            self.add_column(labels[at], width=width)
        for item in items:
            cells = [Text(item.cells[at], no_wrap=True, overflow="ellipsis") for at in widths]
            self.add_row(*cells, key=item.key)
        keys = [item.key for item in items]
        if same and items:
            self.move_cursor(row=keys.index(selected.key) if selected and selected.key in keys else row)


def columns(natural: Sequence[int], room: int, spare: Sequence[int] = ()) -> dict[int, int]:
    """Widths of as many columns as there is room for, by place: the first gives way, the last takes what is left.

    Those at the places of `spare` are left out first, then the last.
    """
    places = list(range(len(natural)))
    going = [*spare, *(place for place in reversed(places) if place not in spare)]
    while len(places) > 1:
        first, *middle, last = places
        left = room - GAP * len(places) - sum(natural[place] for place in middle)
        if min(natural[first], FIRST) + min(natural[last], LAST) <= left:
            width = min(natural[first], max(min(natural[first], FIRST), left - natural[last], left // 2))
            return {first: width, **{place: natural[place] for place in middle}, last: left - width}
        places.remove(going.pop(0))
    return {places[0]: max(1, room - GAP)}
