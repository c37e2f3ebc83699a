"""Rows out of JSON: one object a line, or a list, an object that holds lists of rows, or a single one."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from gemmalocal.documents import lines, splits
from gemmalocal.documents.document import Unreadable
from gemmalocal.documents.json_values import Broken, Values, decode
from gemmalocal.documents.lines import LONGEST, OnProgress, SourceRow, SourceRows
from gemmalocal.files.sizes import size
from gemmalocal.records import Rejected

HELD = 64 << 20  # bytes of a file whose rows stand in columns, which is held whole
ROW_NAMES = {  # an object with one of these is a row, and holds none
    *("messages", "conversations", "conversation", "contents", "text", "prompt", "completion", "instruction"),
    *("question", "query", "answer", "response", "output", "input"),
}
LIST_NAMES = ("data", "rows", "examples", "items", "records", "instances")  # what a list of rows is called


def json_lines(file: Path, on_progress: OnProgress) -> SourceRows:
    """One JSON object a line (.jsonl); or what a .json holds, under a wrong name."""
    with file.open("rb") as opened:
        raw = lines.begin(opened)
        start = raw.tell()
        if _spread(raw):
            yield from json_tree(file, on_progress)
            return
        raw.seek(start)
        name, position = file.name, start
        for number in count(1):
            source = f"{name}:{number}"
            try:
                line = lines.line(raw)
            except Unreadable as problem:
                yield Rejected(source, str(problem))
                position = raw.tell()
                continue
            if not line:
                return
            position += len(line)
            on_progress(position)
            if line.strip():
                try:
                    yield lines.row(source, decode(lines.text(line)))
                except Unreadable as problem:
                    yield Rejected(source, str(problem), line[:80].decode("utf-8", "replace").strip())


def json_tree(file: Path, on_progress: OnProgress, part: str = "") -> SourceRows:
    """The rows of a .json file, streamed; `part` is the list in its object that is meant, else each of `parts`."""
    with file.open("rb") as opened:
        raw = lines.begin(opened)
        start = raw.tell()
        if _one_a_line(raw):
            yield from json_lines(file, on_progress)
            return
        raw.seek(start)
        values = Values(raw, on_progress)
        if values.ended:
            raise Unreadable("is empty: there is no JSON in it")
        if values.peek() != "{":
            yield from _sequence(file, values)
            return
        object_parts = parts(file)
        if object_parts.columns:
            yield from _from_columns(file)
        elif object_parts.lists:
            yield from _members(file, values, {part} if part else set(object_parts.lists))
        else:
            yield from _sequence(file, values)


@dataclass(frozen=True)
class Parts:
    """What the object in a .json file holds: the `lists` that are rows with their lengths, and others by name.

    None where the object is a row itself, or (`columns`) where its members are columns.
    """

    lists: dict[str, int]
    others: dict[str, int]
    columns: bool = False


def parts(file: Path) -> Parts:
    """Look through a .json file for lists of rows; by name splits, else data and the like, else the longest."""
    with file.open("rb") as opened:
        raw = lines.begin(opened)
        start = raw.tell()
        if _one_a_line(raw):
            return Parts({}, {})
        raw.seek(start)
        values = Values(raw, lambda position: None)
        if not values.take("{"):
            return Parts({}, {})
        try:
            kinds = dict(_kinds(values))
        except Unreadable:
            kinds = {}
    others = {name: length for name, (kind, length) in kinds.items() if kind in ("rows", "list")}
    if not kinds or any(name in ROW_NAMES and kind in ("value", "turns") for name, (kind, _) in kinds.items()):
        return Parts({}, {})
    rows = {name: length for name, (kind, length) in kinds.items() if kind == "rows"}
    named = {name: length for name, length in rows.items() if splits.side_of(name)}
    chosen = named or dict([min(rows.items(), key=_rank)] if rows else [])
    if not chosen and _in_columns(kinds) and file.stat().st_size <= HELD:
        return Parts({}, {}, columns=True)
    return Parts(chosen, {name: length for name, length in others.items() if name not in chosen} if chosen else {})


def _rank(named: tuple[str, int]) -> tuple[int, int]:
    name, length = named
    return LIST_NAMES.index(name) if name in LIST_NAMES else len(LIST_NAMES), -length


def _kinds(values: Values) -> Iterator[tuple[str, tuple[str, int]]]:
    """The members of an object: rows, turns, list, table (an object of alike members) or value; with their lengths."""
    while not values.take("}"):
        name = values.value()
        if not isinstance(name, str) or not values.take(":"):
            raise Unreadable("is not JSON")
        if values.peek() == "[":
            yield name, _list_kind(values)
        else:
            value = values.value()
            numbered = isinstance(value, dict) and bool(value) and all(key.isdigit() for key in value)
            yield name, ("table", len(value)) if numbered else ("value", 0)
        values.take(",")
        if values.ended:
            return


def _list_kind(values: Values) -> tuple[str, int]:
    kind, length = "list", 0
    for value in _elements(values):
        if not length and isinstance(value, dict):
            kind = "turns" if value.keys() & lines.TURN else "rows"
        length += 1
    return kind, length


def _in_columns(kinds: dict[str, tuple[str, int]]) -> bool:
    """Whether each member is a column, as pandas and others write tables: all of one length."""
    alike = set(kinds.values())
    kind, length = next(iter(alike))
    return len(alike) == 1 and kind in ("list", "table") and length > 0


def _from_columns(file: Path) -> SourceRows:
    with file.open("rb") as opened:
        table = Values(lines.begin(opened), lambda position: None).value()
    columns = {name: list(column.values() if isinstance(column, dict) else column) for name, column in table.items()}
    for number, cells in enumerate(zip(*columns.values(), strict=True), 1):
        yield f"{file.name}#{number}", dict(zip(columns, cells, strict=True))


def _sequence(file: Path, values: Values) -> SourceRows:
    """Values one after the other; if the first is a list, its elements are rows."""
    number = 0
    if values.peek() == "[":
        number = yield from _rows(file, values, 0, "#")
    yield from _rows(file, values, number, "#", close="")


def _members(file: Path, values: Values, list_names: set[str]) -> SourceRows:
    """The rows of the wanted lists in an object."""
    values.take("{")
    while not values.take("}") and not values.ended:
        name = values.value()
        values.take(":")
        if name in list_names:
            yield from _rows(file, values, 0, f"#{name}." if splits.side_of(name) else "#")
        elif values.peek() == "[":
            for _ in _elements(values):
                pass
        else:
            values.value()
        values.take(",")


def _rows(
    file: Path, values: Values, start: int, mark: str, close: str = "]"
) -> Generator[SourceRow | Rejected, None, int]:
    """Elements as rows, numbered on from `start`; the last number."""
    number, name = start, file.name
    for value in _elements(values, close):
        number += 1
        if isinstance(value, dict):
            yield f"{name}{mark}{number}", value
        elif isinstance(value, Broken):
            yield Rejected(f"{name}:{value.line}", str(value))
        else:
            yield lines.row(f"{name}{mark}{number}", value)
    return number


def _elements(values: Values, close: str = "]") -> Iterator[Any]:
    """The values of a list, or (`close` is "") those up to the file's end; one that cannot be read is a `Broken`.

    The reading goes on behind its brackets, or where the next row begins as others did.
    """
    if close:
        values.take("[")
    values.peek()
    number, indent, opening = 0, None, values.opening
    while not (close and values.take(close)):
        if not values.peek():
            if close:
                yield Broken("is not JSON: the file ends before its list does (it may be cut off)", values.line)
            return
        run = values.run(opening)
        yield from run
        number += len(run)
        indent = own if (own := values.indent) is not None else indent
        if run:
            continue
        number += 1
        try:
            yield values.value()
        except Broken as problem:
            bytes_left = values.rest
            if not _passed(values, opening if indent is None else f"\n{indent}{{", problem.long):
                yield Broken(_rest(str(problem), bytes_left, number - 1), problem.line)
                return
            yield problem
        while values.take(","):
            pass


def _passed(values: Values, mark: str, long: bool) -> bool:
    """Whether what cannot be read was passed over: by its brackets, or up to the `mark` with which rows begin."""
    if values.skip(in_window=not long) and values.peek() in (",", "]", ""):
        return True
    return values.find(mark or "\n{")


def _rest(why: str, bytes_left: int, before: int) -> str:
    return (
        f"{why}; from there on, {size(bytes_left)}, nothing was read{f' ({before} before it were)' if before else ''}"
    )


def _one_a_line(raw: BinaryIO) -> bool:
    start = raw.read(1)
    if start == b"[":
        return False
    first, second = (start + raw.readline(LONGEST)).strip(), raw.readline(LONGEST).strip()
    return first[:1] + first[-1:] == b"{}" and second[:1] == b"{"


def _spread(raw: BinaryIO) -> bool:
    """Whether values stand as in a .json file: a list of objects, or one over several lines."""
    first, second = raw.readline(LONGEST).strip(), raw.readline(LONGEST).strip()
    return first in (b"[", b"{") or (first.startswith((b"[{", b"[ {")) and not (first.endswith(b"]") and second))
