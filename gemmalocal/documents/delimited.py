"""Tables of text to rows: columns between commas, semicolons, tabs or bars, under a header."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from gemmalocal.documents import lines
from gemmalocal.documents.document import Unreadable
from gemmalocal.documents.lines import LONGEST, OnProgress, SourceRows
from gemmalocal.jobs.plurals import counted
from gemmalocal.records import Rejected

SEPARATORS = ",;\t|"
DECLARED = "sep="  # how Excel's first line may begin
INDEXES = ("", "Unnamed: 0")  # what pandas' index is called in a header
TITLED = 3  # lines under a title line that are looked at: all have the same several columns


def table(file: Path, on_progress: OnProgress, names: Sequence[str] = ()) -> SourceRows:
    """Columns under a header line (.csv, .tsv), quoted as in RFC 4180.

    If `names` are given for the columns, the file has no header. A row with a quotation mark that is never closed
    would swallow those after it: only its first line is given up.
    """
    csv.field_size_limit(LONGEST)
    with file.open("rb") as opened:
        table_lines = _TableLines(lines.begin(opened), 0, on_progress)
        if names:
            delimiter = separator(file, next(table_lines, ""))
            table_lines.step_back()
        else:
            delimiter, title = _head(file, table_lines)
            if title:
                yield title
            names = _header(table_lines, delimiter)
        yield from _rows(file, table_lines, names, delimiter)


def _rows(file: Path, table_lines: _TableLines, names: Sequence[str], delimiter: str) -> SourceRows:
    name, unnamed = file.name, "" in names
    while True:
        table_lines.begin_row()
        try:
            for values in csv.reader(table_lines, delimiter=delimiter, strict=True):
                if len(values) > len(names) and not any(values[len(names) :]):
                    values = values[: len(names)]  # a separator ends the line
                if len(values) == len(names):
                    columns = dict(zip(names, values, strict=True))
                    if unnamed:
                        del columns[""]
                    yield f"{name}:{table_lines.first}", columns
                elif any(values):
                    reason = (
                        f"does not have the {counted(len(names), 'column')} that the header names: it has {len(values)}"
                    )
                    yield Rejected(f"{name}:{table_lines.first}", reason, delimiter.join(values)[:80])
                table_lines.begin_row()
            return
        except csv.Error as error:
            reason = "has a quotation mark that is not closed, or text after a closed one"
            yield Rejected(f"{name}:{table_lines.first}", f"{reason}: {error}")
        except Unreadable as problem:
            yield Rejected(f"{name}:{table_lines.first}", str(problem))
        table_lines.rewind()


class _TableLines:
    """The lines of a table: where the row at hand began, and a way back to its second line."""

    def __init__(self, raw: BinaryIO, number: int, on_progress: OnProgress) -> None:
        self._raw, self._number, self._on_progress = raw, number, on_progress
        self.begin_row()

    def begin_row(self) -> None:
        """The next line begins a row."""
        self.first = self._number + 1
        self._second: int | None = None

    def step_back(self) -> None:
        """Go back to the line that was just read."""
        self._raw.seek(self._start)
        self._number -= 1

    def rewind(self) -> None:
        """Go on behind the first line of the row at hand."""
        self._raw.seek(self._second or self._raw.tell())
        self._number = self.first

    def peek(self, count: int) -> list[str]:
        """The next lines, which stay where they are."""
        position = self._raw.tell()
        try:
            return [lines.text(lines.line(self._raw)) for _ in range(count)]
        except Unreadable:
            return []
        finally:
            self._raw.seek(position)

    def __iter__(self) -> _TableLines:
        return self

    def __next__(self) -> str:
        self._start = self._raw.tell()
        try:
            line = lines.line(self._raw)
        finally:
            self._number += 1
            self._second = self._second or self._raw.tell()
        if not line:
            raise StopIteration
        self._on_progress(self._raw.tell())
        return lines.text(line)


def separator(file: Path, line: str) -> str:
    """What separates the columns of a table: tabs in a .tsv, else what stands most often outside of quotes."""
    if file.suffix.lower() == ".tsv":
        return "\t"
    bare = "".join(line.split('"')[::2])
    return max(SEPARATORS, key=bare.count) if any(mark in bare for mark in SEPARATORS) else ","


def _head(file: Path, table_lines: _TableLines) -> tuple[str, Rejected | None]:
    """The separator; the next line is the header. A title line above it is told, Excel's own and empty ones are not."""
    declared = ""
    for line in table_lines:
        if line.lower().startswith(DECLARED) and len(line.strip("\r\n")) <= len(DECLARED) + 1:
            declared = line[len(DECLARED) :].rstrip("\r\n") or "\t"
        elif line.strip():
            break
    else:
        return ",", None
    delimiter = declared or separator(file, line)
    below = [row for row in table_lines.peek(TITLED) if row.strip()]
    own = [cell for cell in _cells(line, delimiter) if cell.strip()]
    if len(own) == 1 and len(below) > 1:
        mark = declared or separator(file, below[0])
        counts = {sum(map(bool, _cells(row, mark))) for row in below}
        if len(counts) == 1 and counts.pop() > 1:
            title = Rejected(
                f"{file.name}:{table_lines.first}", "is a title above the header, not a row", line.strip()[:80]
            )
            return mark, title
    table_lines.step_back()
    return delimiter, None


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def _header(table_lines: _TableLines, delimiter: str) -> list[str]:
    """Names of the columns; those without one, and pandas' index, are "", and so left out."""
    try:
        names = next(csv.reader(table_lines, delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise Unreadable(f"has a header that cannot be read: {error}", "Correct its first line.") from error
    names = ["" if not name.strip() or (not number and name in INDEXES) else name for number, name in enumerate(names)]
    counts = Counter(names)
    twice = next((name for name in names if name and counts[name] > 1), None)
    if twice is not None:
        why = f"has a header that names a column twice: '{twice}' (line {table_lines.first})"
        raise Unreadable(why, "Give each column a name of its own.")
    return names
