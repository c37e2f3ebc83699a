"""Where rows are (files, globs, folders, Hub datasets, installed packages), as things to be read one after another."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import resources, util
from pathlib import Path
from typing import Any

from gemmalocal.data import folders, row_sides
from gemmalocal.data.folders import Holding
from gemmalocal.documents import hub, packed, row_readers, splits
from gemmalocal.documents.document import Unreadable
from gemmalocal.documents.json_rows import json_tree, parts
from gemmalocal.documents.row_readers import OnProgress, SourceRows
from gemmalocal.errors import DatasetError
from gemmalocal.files import paths

PACKAGE = "package:"
SIDED = (".jsonl", ".ndjson", ".parquet")  # files that are looked at for a column of sides


@dataclass(frozen=True)
class RowSource:
    """`size` is in bytes (of a Hub dataset: rows), and so is what `read` tells of its progress."""

    size: int
    read: Callable[[OnProgress], SourceRows]
    held_out: bool = False


@dataclass
class SourceListing:
    """What one place holds, and what is to be said of it; `ours`: it was prepared here."""

    sources: list[RowSource]
    notes: list[str] = field(default_factory=list)
    ours: bool = False

    @property
    def brings_held_out(self) -> bool:
        """Whether rows to be held out came with it."""
        return any(source.held_out for source in self.sources)


def find(path: str) -> SourceListing:
    """What is at `path`: a file, a glob, a folder, `hf:owner/name[:split]` or `package:module/file.json`.

    Files, folders, splits and lists are held out or left out by their names. Raises `DatasetError` if there is nothing
    to read.
    """
    if path.startswith(hub.PREFIX):
        return _hub(path)
    if path.startswith(PACKAGE):
        return SourceListing([_file(_resource(path.removeprefix(PACKAGE)))])
    location = paths.expanded(path)
    if location.is_dir():
        return _folder(location)
    if location.is_file():
        return _in_file(location)
    if glob.has_magic(path):
        return _matching(location)
    raise _missing(path)


def check_there(path: str) -> None:
    """Raise `DatasetError` if a file, folder or glob of this disk is not there; nothing is opened or fetched."""
    if not path.startswith((hub.PREFIX, PACKAGE)) and not paths.names_something(path):
        raise _missing(path)


def _missing(path: str) -> DatasetError:
    return DatasetError(f"There are no rows at {path}: no such file.", "Check data.path in the recipe.")


def _matching(pattern: Path) -> SourceListing:
    """The files and folders of a glob, each read as if it was named, but by sides as if they were in one folder."""
    matches = [Path(match) for match in sorted(glob.glob(str(pattern), recursive=True))]
    files = [match for match in matches if match.is_file() and folders.suffix(match) in row_readers.READERS]
    if not files:
        raise DatasetError(f"There are no rows at {pattern}: no file that can be read matches.", "Check data.path.")
    sides = folders.by_side(files)
    unread = [match.name for match in matches if match.is_file() and match not in files]
    return _listing_of(Holding(sides, unread), str(pattern))


def _folder(folder: Path) -> SourceListing:
    try:
        holding = folders.scan(folder)
    except OSError as error:
        raise DatasetError(
            f"{folder} cannot be opened: {error.strerror or error}.", "Check that you may read it."
        ) from error
    if not any(holding.sides.values()):
        unread = f": not read {folders.names_in_short(holding.unread)}" if holding.unread else ""
        raise DatasetError(
            f"{folder} holds no rows{unread}.",
            f"Put {', '.join(row_readers.READERS)} files into it.",
        )
    return _listing_of(holding, str(folder))


def _listing_of(holding: Holding, name: str) -> SourceListing:
    """Files by side; those of the held-out side come first."""
    listing = SourceListing([], ours=holding.ours)
    for side in (splits.HELD_OUT, splits.TRAIN):
        for file in holding.sides[side]:
            inside = _in_file(file)
            listing.notes += inside.notes
            listing.sources += [
                replace(source, held_out=source.held_out or side == splits.HELD_OUT) for source in inside.sources
            ]
    listing.sources.sort(key=lambda source: not source.held_out)
    if not holding.ours:
        listing.notes += _side_notes(
            name,
            [file.name for file in holding.sides[splits.HELD_OUT]],
            [file.name for file in holding.sides[splits.TEST]],
        )
        if holding.unread:
            listing.notes.append(f"not read in {name}: {folders.names_in_short(holding.unread)}")
    return listing


def _side_notes(name: str, held_out: Sequence[str], test: Sequence[str]) -> list[str]:
    """What is said of sides that came by their names."""
    notes = []
    if held_out:
        notes.append(f"held out of {name} by name: {folders.names_in_short(held_out)}")
    if test:
        instead = "" if held_out else "; a share of the other rows is held out instead (data.split)"
        notes.append(f"left out of {name} by name, for a last test: {folders.names_in_short(test)}{instead}")
    return notes


def _in_file(file: Path) -> SourceListing:
    """A file; an object in a .json file may hold several lists, that are sides by their names."""
    if folders.suffix(file) in SIDED and file.suffix != ".gz" and (sided := _sided(_file(file), file.name)):
        return sided
    if folders.suffix(file) != ".json" or file.suffix == ".gz":
        return SourceListing([_file(file)])
    try:
        lists = parts(file)
    except (OSError, Unreadable):
        return SourceListing([_file(file)])  # who reads it says why
    notes = (
        [f"lists in {file.name} that are not read: {folders.names_in_short(_counted(lists.others))}"]
        if lists.others
        else []
    )
    sides = {name: splits.side_of(name) for name in lists.lists}
    if len(sides) < 2 or not any(sides.values()):
        return SourceListing([_file(file)], notes)
    chosen = _split(sides)
    size = file.stat().st_size // max(1, len(chosen))
    sources = [
        RowSource(size, partial(_part, file, name), held_out=side == splits.HELD_OUT)
        for name, side in sorted(chosen.items(), key=lambda pair: pair[1] != splits.HELD_OUT)
    ]
    held_out = [name for name, side in chosen.items() if side == splits.HELD_OUT]
    return SourceListing(
        sources, notes + _side_notes(file.name, held_out, [name for name in sides if name not in chosen])
    )


def _sided(source: RowSource, name: str) -> SourceListing | None:
    """A source whose rows say in a column which side they are, as two."""
    try:
        readers = row_sides.by_column(source.read)
    except (OSError, Unreadable):
        return None  # who reads it says why
    if readers is None:
        return None
    sources = [RowSource(source.size, read, side == splits.HELD_OUT) for side, read in readers.items()]
    return SourceListing(sources, [f"held out of {name} by its column {row_sides.COLUMN}"])


def _split(sides: dict[str, str]) -> dict[str, str]:
    """The splits that are read: not those for a test, unless there are no others to train on."""
    chosen = {name: side for name, side in sides.items() if side != splits.TEST}
    if any(side != splits.HELD_OUT for side in chosen.values()):
        return chosen
    return {name: splits.TRAIN if side == splits.TEST or not set(sides) - set(chosen) else side
            for name, side in sides.items()}  # fmt: skip


def _part(file: Path, name: str, on_progress: OnProgress) -> SourceRows:
    yield from json_tree(file, on_progress, name)


def _counted(lists: dict[str, int]) -> list[str]:
    return [f"{name} ({count})" for name, count in lists.items()]


def _resource(address: str) -> Path:
    module, _, inner = address.partition("/")
    if util.find_spec(module) is None:
        raise DatasetError(
            f"The package '{module}' that holds these rows is not installed.", "pip install 'gemmalocal[demo]'"
        )
    file = Path(str(resources.files(module).joinpath(inner)))
    if not file.is_file():
        raise DatasetError(f"The package '{module}' has no file '{inner}'.", "Check data.path.")
    return file


def _file(file: Path) -> RowSource:
    if folders.suffix(file) not in row_readers.READERS:
        raise DatasetError(f"{file.name} is not of a kind that can be read.", f"Use {', '.join(row_readers.READERS)}.")
    return RowSource(file.stat().st_size, partial(_unpacked if file.suffix == ".gz" else row_readers.read, file))


def _unpacked(file: Path, on_progress: OnProgress) -> SourceRows:
    with packed.unpacked(file) as plain:
        yield from row_readers.read(plain, lambda position: None)


def _hub(address: str) -> SourceListing:
    try:
        if ":" in address.removeprefix(hub.PREFIX):
            name, table = hub.load(address)
            return SourceListing([_table(name, table)])
        name, tables = hub.splits(address)
    except Unreadable as problem:
        raise DatasetError(
            f"The Hub dataset '{address.removeprefix(hub.PREFIX)}' {problem}.", problem.hint
        ) from problem
    sides = {split: splits.side_of(split) for split in tables}
    chosen = {split: side for split, side in _split(sides).items() if side}
    chosen = chosen if splits.TRAIN in chosen.values() else dict.fromkeys(list(tables)[:1], splits.TRAIN)
    sources = [
        _table(name, tables[split], held_out=side == splits.HELD_OUT)
        for split, side in sorted(chosen.items(), key=lambda pair: pair[1] != splits.HELD_OUT)
    ]
    if len(sources) == 1 and (sided := _sided(sources[0], name)):
        sources, notes = sided.sources, sided.notes
    else:
        notes = []
    held_out = [split for split, side in chosen.items() if side == splits.HELD_OUT]
    unread = [split for split in tables if split not in chosen]
    test = [split for split in unread if sides[split] == splits.TEST]
    notes += _side_notes(name, held_out, test)
    if others := [split for split in unread if split not in test]:
        notes.append(
            f"splits of {name} that are not read: {folders.names_in_short(others)} (name one as {address}:{others[0]})"
        )
    return SourceListing(sources, notes)


def _table(name: str, table: Any, held_out: bool = False) -> RowSource:
    def read(on_progress: OnProgress) -> SourceRows:
        for number, row in enumerate(table, 1):
            on_progress(number)
            yield f"{name}#{number}", dict(row)

    return RowSource(len(table), read, held_out)
