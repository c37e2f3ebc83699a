"""Rows at a place as records, one by one, whatever shape each has; for jobs that look at rows and train on none."""

from __future__ import annotations

from collections.abc import Iterator

from gemmalocal.data import sources
from gemmalocal.data.cells import Columns, UnusableRow
from gemmalocal.data.findings import Findings
from gemmalocal.data.remarks import Remarks
from gemmalocal.data.row_formats import RowFormats
from gemmalocal.pipelines.shared.background import Teller
from gemmalocal.recipe.data_spec import DataSpec
from gemmalocal.records import Record, Rejected


def read_rows(path: str, tell: Teller) -> Iterator[tuple[Record, Columns] | UnusableRow]:
    """Each row with its columns, or why it is none; tells how much of all sources is read."""
    listing = sources.find(path)
    total, start = sum(source.size for source in listing.sources), 0

    def at(position: int) -> None:
        tell("rows", start + position, total)

    for source in listing.sources:
        reader = RowFormats(DataSpec(path=path).shape, None, False, Remarks(Findings()))
        for row in source.read(at):
            try:
                if isinstance(row, Rejected):
                    raise UnusableRow(row.reason)
                yield reader(*row), row[1]
            except UnusableRow as error:
                yield error
        start += source.size
