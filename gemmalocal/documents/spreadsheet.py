"""Workbooks, each sheet a table: Excel's of every age, and OpenDocument's, through calamine."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any

from gemmalocal.documents.document import Unreadable
from gemmalocal.documents.packed import check
from gemmalocal.records import Rejected

SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
LONGEST_NAME = 80  # characters of a column's name
MOST_CELLS = 20_000_000  # of a sheet, empty ones among them; each takes 32 bytes
START = 4096  # bytes in which a sheet says how large it is
DIMENSION = re.compile(rb'<dimension ref="[A-Z]{1,3}[0-9]{1,7}(?::([A-Z]{1,3})([0-9]{1,7}))?"')
CELL = re.compile(rb'<c r="([A-Z]{1,3})([0-9]{1,7})"')
YEAR = re.compile("(?:19|20)[0-9]{2}")  # names columns, too


def sheets(file: Path, on_progress: Callable[[int], None]) -> Iterator[tuple[str, dict[str, Any]] | Rejected]:
    """The rows of all sheets that are shown, called "book.xlsx:Sheet:3"; a sheet's first row that has cells names them.

    Raises `Unreadable`.
    """
    import python_calamine as calamine

    if zipfile.is_zipfile(file):
        check(file, markup=False)
        _check_extents(file)
    try:
        with file.open("rb") as raw, calamine.CalamineWorkbook.from_filelike(raw) as book:
            for sheet in book.sheets_metadata:
                if sheet.typ != calamine.SheetTypeEnum.WorkSheet:
                    continue
                sheet_name = f"{file.name}:{sheet.name}"
                if sheet.visible != calamine.SheetVisibleEnum.Visible:
                    yield Rejected(sheet_name, "is a hidden sheet")
                    continue
                cells = book.get_sheet_by_name(sheet.name).to_python(skip_empty_area=False)
                yield from _rows(sheet_name, [[_cell(cell) for cell in row] for row in cells])
    except calamine.PasswordError as error:
        raise Unreadable("is encrypted", "Save it again, without a password.") from error
    except (calamine.CalamineError, OSError) as error:
        raise Unreadable(f"is damaged: {error}", "Fetch or save it again.") from error
    on_progress(file.stat().st_size)


def _check_extents(file: Path) -> None:
    """Raise `Unreadable` for a sheet whose cells lie so far apart that there is no room for those between them."""
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if not name.startswith("xl/worksheets/") or not name.endswith(".xml"):
                continue
            with archive.open(name) as part:
                dimension = DIMENSION.search(part.read(START))
            if dimension and _area([(b"A", b"1"), (dimension[1] or b"A", dimension[2] or b"1")]) <= MOST_CELLS:
                continue
            # No size, or one that is too large, which need not be true: the cells are looked at.
            area = _area(CELL.findall(archive.read(name)))
            if area > MOST_CELLS:
                raise Unreadable(
                    f"has a sheet of {area:,} cells, most of them empty", "Delete those far from the others."
                )


def _area(cells: Sequence[tuple[bytes, ...]]) -> int:
    """Cells of the rectangle around some, each given by its column's letters and its row."""
    if not cells:
        return 0
    rows = [int(row) for _, row in cells]
    columns = [_column(name) for name in {name for name, _ in cells}]
    return (max(rows) - min(rows) + 1) * (max(columns) - min(columns) + 1)


def _column(name: bytes) -> int:
    """AB is the 28th."""
    number = 0
    for letter in name:
        number = number * 26 + letter - ord("A") + 1
    return number


def _rows(sheet_name: str, lines: Sequence[list[str]]) -> Iterator[tuple[str, dict[str, Any]]]:
    filled = [(number, line) for number, line in enumerate(lines, 1) if any(line)]
    if not filled:
        return
    if len(filled) > 1 and sum(map(bool, filled[0][1])) == 1 < max(sum(map(bool, line)) for _, line in filled):
        filled = filled[1:]  # a title above the table
    names = _names(filled[0][1])
    for number, line in filled[1 if names else 0 :]:
        titles = names or [str(column) for column in range(1, len(line) + 1)]
        yield f"{sheet_name}:{number}", {name: cell for name, cell in zip(titles, line, strict=True) if cell}


def _names(line: Sequence[str]) -> list[str]:
    """What the columns are called, each otherwise; [] if the first row is data: half of it are numbers or long text."""
    filled = [cell for cell in line if cell]
    if 2 * sum(map(_is_data, filled)) >= len(filled):
        return []
    names = list[str]()
    for column, cell in enumerate(line, 1):
        name = cell or str(column)
        names.append(f"{name} ({column})" if name in names else name)
    return names


def _is_data(cell: str) -> bool:
    figures = cell.replace(".", "", 1).removeprefix("-").isdigit() and not YEAR.fullmatch(cell)
    return figures or len(cell) > LONGEST_NAME or "\n" in cell


def _cell(value: Any) -> str:
    """A cell as a person reads it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    return str(value).strip()
