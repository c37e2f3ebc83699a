"""Rows as documents: of each row its text."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gemmalocal.documents import row_readers
from gemmalocal.documents.document import Content, Section, Unreadable
from gemmalocal.documents.packed import temporary
from gemmalocal.documents.text import LARGEST_TEXT, SAMPLE, decode, has_zeros
from gemmalocal.jobs.plurals import counted
from gemmalocal.records import Rejected

TEXTS = ("text", "content", "body", "article", "document", "passage", "markdown")  # columns that are the whole text
HEADER, LONGEST_NAME = 1 << 20, 80  # characters of a header line, and of a column's name in it
OF_TEXT = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")
NUMBER = re.compile(r"-?[\d.,]+")
YEAR = 4  # digits; a column whose name has fewer is only counted
TITLES = ("title", "headline", "name", "heading")


def contents(file: Path) -> Iterator[tuple[str, Content] | Rejected]:
    """Each row with its place ("rows.jsonl:3"), one at a time; what is wrong with a row is a `Rejected`."""
    with _utf8(file) as table:
        yield from _contents(table)


def _contents(file: Path) -> Iterator[tuple[str, Content] | Rejected]:
    names = _names(file) if file.suffix.lower() in (".csv", ".tsv") else ()
    yield from of_rows(row_readers.table(file, _unheard, names) if names else row_readers.read(file, _unheard))


def of_rows(rows: row_readers.SourceRows) -> Iterator[tuple[str, Content] | Rejected]:
    """Each row as text, in its place."""
    for row in rows:
        if isinstance(row, Rejected):
            yield row
        elif text := text_of(row[1]):
            title = title_of(row[1])
            yield row[0], Content(title, [Section(text, title)])
        else:
            yield Rejected(row[0], "is empty: there is no text in its columns")


def read_table(file: Path, password: str | None = None) -> Content:
    """All rows as one document, a section a row; how many could not be read is a warning."""
    sections, refused = [], []
    for row in contents(file):
        if isinstance(row, Rejected):
            refused.append(row)
        else:
            sections += row[1].sections
    if not sections:
        raise Unreadable(f"has no row with text: {refused[0].reason}" if refused else "is empty")
    if not refused:
        return Content("", sections, ())
    rows = counted(len(refused), "row was", "rows were")
    return Content("", sections, (f"{rows} not read, the first because it {refused[0].reason}.",))


def _unheard(position: int) -> None:
    """Nobody watches how far a file has been read."""


@contextmanager
def _utf8(file: Path) -> Iterator[Path]:
    """A file of text as UTF-8: itself, or if its beginning is in another encoding, a temporary one of its name."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with file.open("rb") as raw:
        start = raw.read(SAMPLE)
    try:
        is_readable = file.suffix.lower() not in OF_TEXT or not has_zeros(decoder.decode(start))
    except UnicodeDecodeError:
        is_readable = False
    if is_readable or file.stat().st_size > LARGEST_TEXT:
        yield file
        return
    with temporary(file.name) as copy:
        copy.write_text(decode(file.read_bytes()), encoding="utf-8", newline="")
        yield copy


def _names(file: Path) -> tuple[str, ...]:
    """Names for the columns of a table whose first line is no header: it has numbers, long text, or line breaks."""
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        line = text.readline(HEADER)
        text.seek(0)
        try:
            first = next(csv.reader(text, delimiter=row_readers.separator(file, line)), [])
        except csv.Error:
            return ()
    data = any(NUMBER.fullmatch(cell) or len(cell) > LONGEST_NAME or "\n" in cell for cell in first)
    return tuple(str(number) for number in range(1, len(first) + 1)) if data else ()


def text_of(columns: Mapping[str, Any]) -> str:
    """The column that is the text, if one is named so; else all of them, a line each with its name."""
    for name in TEXTS:
        if isinstance(value := columns.get(name), str) and value.strip():
            return value
    lines = ((str(name), _shown(value)) for name, value in columns.items())
    return "\n".join(
        value if name.isdigit() and len(name) < YEAR else f"{name}: {value}" for name, value in lines if value.strip()
    )


def title_of(columns: Mapping[str, Any]) -> str:
    """What a row is called by itself; "" if it does not say."""
    values = (columns.get(name) for name in TITLES)
    return next((value for value in values if isinstance(value, str) and value.strip()), "")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (str, int, float, bool)):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)
