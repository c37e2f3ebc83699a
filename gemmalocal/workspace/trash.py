"""Runs, datasets and models that were deleted: kept for 30 days, and taken back by their names.

Something is put into the trash, and taken out of it, by one rename, so that a kill leaves it here or there and never
half. Where it came from and when is told by where it lies: `trash/runs/NAME@SECONDS` (since the epoch). What was not in
the workspace, or lies on another disk, stays where it is, hidden, as `.NAME@SECONDS.trashed`, and a link in
`trash/elsewhere` leads to it.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gemmalocal.errors import GemmalocalError, RecipeError, UnknownRun
from gemmalocal.files import paths, safe_read, staging

KEPT = 30  # days
DAY = 24 * 60 * 60  # seconds
ELSEWHERE = "elsewhere"
HIDDEN = re.compile(r"\.(.+)\.trashed", re.DOTALL)
LOOK = "What is in the trash: gemmalocal trash list"


@dataclass(frozen=True)
class Entry:
    """Something in the trash: `place` is where it lies now, `at` (seconds since the epoch) when it was deleted."""

    place: Path
    origin: Path
    at: float

    @property
    def name(self) -> str:
        """What it was called."""
        return self.origin.name

    @property
    def kind(self) -> str:
        """What it is: "run", "dataset", "model", or "folder" where its place does not say."""
        shelf = next((shelf for shelf, home in _homes().items() if home == self.origin.parent), "folders")
        return shelf.removesuffix("s")

    @property
    def days_left(self) -> int:
        """Whole days until it is removed, at least 0."""
        return max(0, int((self.at + KEPT * DAY - time.time()) // DAY))

    @property
    def bytes(self) -> int:
        """Of all that is in it."""
        return staging.tree_bytes(self.place)


def _homes() -> dict[str, Path]:
    """Where things of the workspace are that are deleted, by their shelf in the trash."""
    return {"runs": paths.runs(), "datasets": paths.datasets(), "models": paths.models()}


def put(folder: Path) -> Entry:
    """Move a folder into the trash; what has been there for too long goes. Raises `OSError`."""
    tidy()
    folder = Path(os.path.abspath(folder))
    at = int(time.time())
    ours = {home: shelf for shelf, home in _homes().items()}
    if (shelf := ours.get(folder.parent)) is not None:
        place = _free(paths.trash() / shelf, folder.name, at)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(place)
            return _entry(place, folder)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    return _hide(folder, at)


def _hide(folder: Path, at: int) -> Entry:
    """Keep it on its own disk; the link comes first, so that nothing is hidden that no link leads to."""
    link = _free(paths.trash() / ELSEWHERE, folder.name, at)
    link.parent.mkdir(parents=True, exist_ok=True)
    place = folder.with_name(f".{link.name}.trashed")
    link.symlink_to(place)
    try:
        folder.rename(place)
    except OSError:
        link.unlink()
        raise
    return _entry(place, folder)


def _free(shelf: Path, name: str, at: int) -> Path:
    """Where something of that name may lie: two of one second do not meet."""
    while os.path.lexists(shelf / f"{name}@{at}"):
        at += 1
    return shelf / f"{name}@{at}"


def entries() -> list[Entry]:
    """All that is in the trash, the newest first; what is there and not ours is left out."""
    return sorted(_entries(), key=lambda entry: -entry.at)


def _entries() -> Iterator[Entry]:
    for shelf, home in _homes().items():
        for place in safe_read.entries(paths.trash() / shelf):
            if name := _name(place.name):
                yield _entry(place, home / name)
    for link in safe_read.entries(paths.trash() / ELSEWHERE):
        with suppress(OSError):
            place = Path(os.readlink(link))
            hidden = HIDDEN.fullmatch(place.name)
            if hidden and hidden[1] == link.name and (name := _name(link.name)) and os.path.lexists(place):
                yield _entry(place, place.with_name(name))


def _name(written: str) -> str:
    name, _, at = written.rpartition("@")
    return name if at.isdecimal() else ""


def _entry(place: Path, origin: Path) -> Entry:
    written = (HIDDEN.fullmatch(place.name) or [place.name, place.name])[1]
    return Entry(place, origin, float(written.rpartition("@")[2]))


def find(name: str) -> Entry:
    """The newest of that name; raises `UnknownRun`."""
    for entry in entries():
        if name == entry.name:
            return entry
    raise UnknownRun(f"There is no '{name}' in the trash.", LOOK)


def restore(entry: Entry) -> Path:
    """Put it back where it was, under another name if there is one of its name; gives where it is now."""
    target, number = entry.origin, 2
    while os.path.lexists(target):
        target, number = entry.origin.with_name(f"{entry.name}-{number}"), number + 1
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        entry.place.rename(target)
    except FileNotFoundError as error:
        raise RecipeError(f"{entry.name} is not in the trash any more.", LOOK) from error
    _unlink(entry)
    return target


def remove(entry: Entry) -> None:
    """Remove it from the disk, for ever. Raises `OSError`."""
    with suppress(FileNotFoundError):  # somebody else was faster
        staging.remove(entry.place)
    _unlink(entry)


def _unlink(entry: Entry) -> None:
    if hidden := HIDDEN.fullmatch(entry.place.name):
        with suppress(OSError):
            (paths.trash() / ELSEWHERE / hidden[1]).unlink()


def tidy() -> None:
    """Remove what has been there for 30 days, and what a kill left of such work; never raises."""
    for entry in entries():
        if entry.at + KEPT * DAY < time.time():
            with suppress(OSError, GemmalocalError):
                remove(entry)
    for shelf in _homes():
        for aside in staging.in_folder(paths.trash() / shelf):
            if aside.abandoned:
                staging.discard(aside.path)
