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
from gemmalocal.records import Rejected

SEPARATORS = ",;\t|"
DECLARED = "sep="  # how Excel's first line may begin
INDEXES = ("", "Unnamed: 0")  # what pandas' index is called in a header
TITLED = 3  # lines under a title line that are looked at: all have the same several columns


def table(file: Path, at: OnProgress, names: Sequence[str] = ()) -> SourceRows:
    """Columns under a header line (.csv, .tsv), quoted as in RFC 4180.

    If `names` are given for the columns, the file has no header. A row with a quotation mark that is never closed
    would swallow those after it: only its first line is given up.
    """
    csv.field_size_limit(LONGEST)
    with file.open("rb") as opened:
        found = _TableLines(lines.begin(opened), 0, at)
        if names:
            delimiter = separator(file, next(found, ""))
            found.again()
        else:
            delimiter, told = _head(file, found)
            if told:
                yield told
            names = _header(found, delimiter)
        yield from _rows(file, found, names, delimiter)


def _rows(file: Path, found: _TableLines, names: Sequence[str], delimiter: str) -> SourceRows:
    name, unnamed = file.name, "" in names
    while True:
        found.mark()
        try:
            for values in csv.reader(found, delimiter=delimiter, strict=True):
                if len(values) > len(names) and not any(values[len(names) :]):
                    values = values[: len(names)]  # a separator ends the line
                if len(values) == len(names):
                    columns = dict(zip(names, values, strict=True))
                    if unnamed:
                        del columns[""]
                    yield f"{name}:{found.first}", columns
                elif any(values):
                    why = f"has not the {len(names)} columns that the header names: it has {len(values)}"
                    yield Rejected(f"{name}:{found.first}", why, delimiter.join(values)[:80])
                found.mark()
            return
        except csv.Error as error:
            why = "has a quotation mark that is not closed, or text after a closed one"
            yield Rejected(f"{name}:{found.first}", f"{why}: {error}")
        except Unreadable as problem:
            yield Rejected(f"{name}:{found.first}", str(problem))
        found.rewind()


class _TableLines:
    """The lines of a table: where the row at hand began, and a way back to its second line."""

    def __init__(self, raw: BinaryIO, number: int, at: OnProgress) -> None:
        self._raw, self._number, self._at = raw, number, at
        self.mark()

    def mark(self) -> None:
        """The next line begins a row."""
        self.first = self._number + 1
        self._second: int | None = None

    def again(self) -> None:
        """Go back to the line that was just read."""
        self._raw.seek(self._start)
        self._number -= 1

    def rewind(self) -> None:
        """Go on behind the first line of the row at hand."""
        self._raw.seek(self._second or self._raw.tell())
        self._number = self.first

    def ahead(self, count: int) -> list[str]:
        """The next lines, which stay where they are."""
        here = self._raw.tell()
        try:
            return [lines.text(lines.line(self._raw)) for _ in range(count)]
        except Unreadable:
            return []
        finally:
            self._raw.seek(here)

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
        self._at(self._raw.tell())
        return lines.text(line)


def separator(file: Path, line: str) -> str:
    """What separates the columns of a table: tabs in a .tsv, else what stands most often outside of quotes."""
    if file.suffix.lower() == ".tsv":
        return "\t"
    bare = "".join(line.split('"')[::2])
    return max(SEPARATORS, key=bare.count) if any(mark in bare for mark in SEPARATORS) else ","


def _head(file: Path, found: _TableLines) -> tuple[str, Rejected | None]:
    """The separator; the next line is the header. A title line above it is told, Excel's own and empty ones are not."""
    declared = ""
    for line in found:
        if line.lower().startswith(DECLARED) and len(line.strip("\r\n")) <= len(DECLARED) + 1:
            declared = line[len(DECLARED) :].rstrip("\r\n") or "\t"
        elif line.strip():
            break
    else:
        return ",", None
    delimiter = declared or separator(file, line)
    below = [row for row in found.ahead(TITLED) if row.strip()]
    own = [cell for cell in _cells(line, delimiter) if cell.strip()]
    if len(own) == 1 and len(below) > 1:
        mark = declared or separator(file, below[0])
        counts = {sum(map(bool, _cells(row, mark))) for row in below}
        if len(counts) == 1 and counts.pop() > 1:
            told = Rejected(f"{file.name}:{found.first}", "is a title above the header, and no row", line.strip()[:80])
            return mark, told
    found.again()
    return delimiter, None


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def _header(found: _TableLines, delimiter: str) -> list[str]:
    """Names of the columns; those without one, and pandas' index, are "", and so left out."""
    try:
        names = next(csv.reader(found, delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise Unreadable(f"has a header that cannot be read: {error}") from error
    names = ["" if not name.strip() or (not number and name in INDEXES) else name for number, name in enumerate(names)]
    counts = Counter(names)
    twice = next((name for name in names if name and counts[name] > 1), None)
    if twice is not None:
        raise Unreadable(f"has a header that names a column twice: '{twice}' (line {found.first})")
    return names
