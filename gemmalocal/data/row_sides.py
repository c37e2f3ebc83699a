"""Rows that say in a column which side they are: google/mobile-actions writes `metadata: train` or `eval`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from gemmalocal.documents import splits
from gemmalocal.documents.row_readers import OnProgress, SourceRows
from gemmalocal.records import Rejected

COLUMN = "metadata"
LOOKED_AT = 5  # rows of which one tells what the others are
Read = Callable[[OnProgress], SourceRows]


def by_column(read: Read) -> dict[str, Read] | None:
    """The readers of both sides, of rows that say it themselves, some of them held out; else None."""
    begin = [row for row in islice(_quietly(read), LOOKED_AT) if not isinstance(row, Rejected)]
    if not begin or not all(_side(columns) for _, columns in begin):
        return None
    if not any(_side(row[1]) == splits.HELD_OUT for row in _quietly(read) if not isinstance(row, Rejected)):
        return None
    return {side: partial(_of_side, read, side) for side in (splits.HELD_OUT, splits.TRAIN)}


def _quietly(read: Read) -> Iterator[tuple[str, dict[str, Any]] | Rejected]:
    return read(lambda position: None)


def _side(columns: dict[str, Any]) -> str:
    """What a row says that it is; "" if nothing. The word stands alone: it is no title of a page."""
    word = columns.get(COLUMN)
    return splits.side_of(word) if isinstance(word, str) and word.isalpha() else ""


def _of_side(read: Read, side: str, on_progress: OnProgress) -> SourceRows:
    """The rows of one side; what is broken, and what says nothing, is of those to train on."""
    for row in read(on_progress):
        of_row = splits.TRAIN if isinstance(row, Rejected) else _side(row[1]) or splits.TRAIN
        if of_row == side:
            if not isinstance(row, Rejected):
                row[1].pop(COLUMN, None)
            yield row
