"""The trash as one of the lists of home; the key of an item is where it lies."""

from __future__ import annotations

import time

from gemmalocal.errors import UnknownRun
from gemmalocal.files.sizes import size
from gemmalocal.jobs.plurals import counted
from gemmalocal.workspace import trash
from gemmalocal.workspace.trash import Entry
from tui.widgets.shelf_table import Item


def trash_items() -> tuple[tuple[str, ...], list[Item]]:
    """What was deleted, the newest first."""
    return ("Deleted", "What", "Size", "When", "Left"), [_item(entry) for entry in trash.entries()]


def _item(entry: Entry) -> Item:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.at))
    bytes_, left = size(entry.bytes), counted(entry.days_left, "day")
    about = (
        ("what", f"a {entry.kind} that was deleted"),
        ("deleted", when),
        ("left", f"{left} until it is removed from the disk"),
        ("size", bytes_),
        ("from", str(entry.origin)),
    )
    return Item(str(entry.place), (entry.name, entry.kind, bytes_, when, left), about)


def entry_of(item: Item) -> Entry:
    """What an item stands for; raises `UnknownRun` if it is not there any more."""
    for entry in trash.entries():
        if str(entry.place) == item.key:
            return entry
    raise UnknownRun(f"{item.cells[0]} is not in the trash any more.", "The list is read again.")


def empty() -> int:
    """Remove all that is there, for ever; how many that were."""
    entries = trash.entries()
    for entry in entries:
        trash.remove(entry)
    return len(entries)
