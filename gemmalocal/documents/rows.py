"""One file to rows. What is wrong with a row is a `Rejected`; the rows after it are read all the same."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from gemmalocal.documents.document import Unreadable
from gemmalocal.records import Rejected

Row = tuple[str, dict[str, Any]]  # where it came from, its columns
Rows = Iterator[Row | Rejected]
At = Callable[[int], None]  # told how many bytes have been read
LONGEST = 8 << 20  # bytes; a longer row is passed over, so that one broken line cannot fill the memory
SMALL = 16 << 20  # bytes of a broken JSON file that is read again to find the line
BLOCK = 1024  # rows of a Parquet file at once
BOM, UTF16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")
NOT_UTF8 = "is not UTF-8 text (save it as UTF-8)"


def read(file: Path, at: At) -> Rows:
    """The rows of a file whose suffix is in `READERS`."""
    try:
        yield from READERS[file.suffix.lower()](file, at)
    except OSError as error:
        yield Rejected(file.name, f"cannot be read: {error.strerror or error}")
    except Unreadable as problem:
        yield Rejected(file.name, str(problem))


def json_lines(file: Path, at: At) -> Rows:
    """One JSON object a line (.jsonl)."""
    with file.open("rb") as raw:
        _begin(raw)
        for number in count(1):
            source = f"{file.name}:{number}"
            try:
                line = _line(raw)
            except Unreadable as problem:
                yield Rejected(source, str(problem))
                continue
            if not line:
                return
            at(raw.tell())
            if line.strip():
                try:
                    yield _row(source, _json(_text(line)))
                except Unreadable as problem:
                    yield Rejected(source, str(problem), line[:80].decode("utf-8", "replace").strip())


def json_tree(file: Path, at: At) -> Rows:
    """A JSON array of objects, or an object that holds one (.json), streamed; or one object a line all the same."""
    import ijson

    number = 0
    with file.open("rb") as raw:
        _begin(raw)
        start = raw.tell()
        if _one_a_line(raw):
            yield from json_lines(file, at)
            return
        raw.seek(start)
        try:
            prefix = _array(ijson.parse(raw))
            raw.seek(start)
            for value in ijson.items(raw, prefix, use_float=True):
                number += 1
                at(raw.tell())
                yield _row(f"{file.name}#{number}", value)
        except (ijson.JSONError, UnicodeDecodeError) as error:
            where, why = _broken(file, f"{file.name}#{number + 1}", error)
            lost = f"; the {number} rows before it were read" if number else ""
            yield Rejected(where, f"is not JSON: {why}{lost}")


def table(file: Path, at: At, names: Sequence[str] = ()) -> Rows:
    """Comma, semicolon or tab separated columns under a header line (.csv, .tsv), quoted as in RFC 4180.

    If `names` are given for the columns, the file has no header. A row with a quotation mark that is never closed
    would swallow those after it: only its first line is given up.
    """
    csv.field_size_limit(LONGEST)
    with file.open("rb") as raw:
        _begin(raw)
        lines = _Lines(raw, 0, at)
        first = next(lines, "")
        delimiter = separator(file, first)
        if names:
            lines.again()
        else:
            names = _header(first, delimiter)
        while True:
            lines.mark()
            try:
                for values in csv.reader(lines, delimiter=delimiter, strict=True):
                    if len(values) == len(names):
                        yield f"{file.name}:{lines.first}", dict(zip(names, values, strict=True))
                    elif values:
                        why = f"has not the {len(names)} columns that the header names: it has {len(values)}"
                        yield Rejected(f"{file.name}:{lines.first}", why, delimiter.join(values)[:80])
                    lines.mark()
                return
            except csv.Error as error:
                why = "has a quotation mark that is not closed, or text after a closed one"
                yield Rejected(f"{file.name}:{lines.first}", f"{why}: {error}")
            except Unreadable as problem:
                yield Rejected(f"{file.name}:{lines.first}", str(problem))
            lines.rewind()


def parquet(file: Path, at: At) -> Rows:
    """Columns in row groups (.parquet), a block at a time."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise Unreadable("needs the package pyarrow (pip install pyarrow)") from error
    size, number = file.stat().st_size, 0
    try:
        with pyarrow.parquet.ParquetFile(file) as stored:
            for block in stored.iter_batches(BLOCK):
                for columns in block.to_pylist():
                    number += 1
                    yield _row(f"{file.name}#{number}", columns)
                at(size * number // stored.metadata.num_rows)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise Unreadable(f"is not a whole Parquet file: {str(error).splitlines()[0]}") from error


def document(file: Path, at: At) -> Rows:
    """A text file (.txt, .md) is one row of plain text; `data.long_rows: split` makes several of a long one."""
    with file.open("rb") as raw:
        _begin(raw)
        content = raw.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise Unreadable(f"is longer than {LONGEST >> 20} MB (make several files of it)")
    at(len(content))
    if text := _text(content):
        yield file.name, {"text": text}


READERS: dict[str, Callable[[Path, At], Rows]] = {
    ".jsonl": json_lines,
    ".json": json_tree,
    ".csv": table,
    ".tsv": table,
    ".parquet": parquet,
    ".txt": document,
    ".md": document,
}


class _Lines:
    """The lines of a table: where the row at hand began, and a way back to its second line."""

    def __init__(self, raw: BinaryIO, number: int, at: At) -> None:
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

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self._start = self._raw.tell()
        try:
            line = _line(self._raw)
        finally:
            self._number += 1
            self._second = self._second or self._raw.tell()
        if not line:
            raise StopIteration
        self._at(self._raw.tell())
        return _text(line)


def separator(file: Path, line: str) -> str:
    """What separates the columns of a table: tabs in a .tsv, else what its first line has."""
    return "\t" if file.suffix.lower() == ".tsv" else next((mark for mark in ",;\t" if mark in line), ",")


def _header(line: str, delimiter: str) -> list[str]:
    try:
        names = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise Unreadable(f"has a header that cannot be read: {error}") from error
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Unreadable(f"has a header that names a column twice: '{twice}' (line 1)")
    return names


def _begin(raw: BinaryIO) -> None:
    """Pass over a byte order mark; raises `Unreadable` for UTF-16."""
    start = raw.read(3)
    if start[:2] in UTF16 or b"\x00" in start[:2]:
        raise Unreadable(f"{NOT_UTF8}: it looks like UTF-16")
    raw.seek(3 if start == BOM else 0)


def _line(raw: BinaryIO) -> bytes:
    """The next line with its end; one that is too long is passed over and raises `Unreadable`."""
    line = raw.readline(LONGEST + 1)
    if len(line) <= LONGEST:
        return line
    while line and not line.endswith(b"\n"):
        line = raw.readline(LONGEST)
    raise Unreadable(f"is longer than {LONGEST >> 20} MB")


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{NOT_UTF8}: byte {error.start + 1} is 0x{line[error.start]:02x}") from error


def _json(line: str) -> Any:
    try:
        value = json.loads(line)
        if "\\ud" in line or "\\uD" in line:  # an escape may be half of a pair, which is no text
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Unreadable("has half a character: a lone surrogate") from error
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not JSON: {error.msg} (column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"is not JSON that can be read: {error}") from error
    return value


def _row(source: str, value: Any) -> Row | Rejected:
    if isinstance(value, dict):
        return source, value
    return Rejected(source, f"is not an object with named columns: it is {type(value).__name__}", str(value)[:80])


def _one_a_line(raw: BinaryIO) -> bool:
    first, second = raw.readline(LONGEST).strip(), raw.readline(LONGEST).strip()
    return first[:1] + first[-1:] == b"{}" and second[:1] == b"{"


def _array(events: Iterator[tuple[str, str, Any]]) -> str:
    """The place of the rows in a JSON file: the array itself, the first array in an object, or the object."""
    _, top, _ = next(events)
    if top == "start_array":
        return "item"
    if top != "start_map":
        return ""
    key = ""
    for prefix, event, value in events:
        if prefix == "" and event == "map_key":
            key = value
        elif prefix == key and event == "start_array":
            return f"{key}.item"
    return ""


def _broken(file: Path, source: str, error: Exception) -> tuple[str, str]:
    """Where a JSON file breaks and why: by line if it is small, by row if not."""
    if file.stat().st_size <= SMALL:
        try:
            json.loads(file.read_text(encoding="utf-8-sig"))
        except json.JSONDecodeError as found:
            return f"{file.name}:{found.lineno}", found.msg
        except UnicodeDecodeError as found:
            line = file.read_bytes()[: found.start].count(b"\n") + 1
            return f"{file.name}:{line}", f"byte {found.start + 1} is not UTF-8 text"
        except RecursionError:
            pass
    return source, str(error).splitlines()[0]
