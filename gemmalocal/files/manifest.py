"""What a folder that we wrote for somebody holds: each file with its size and sha256, so that a reader takes it whole.

The file's name begins with a dot: programs that read a folder of rows or of weights pass over it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from gemmalocal.records import Tell

MANIFEST = ".gemmalocal-manifest.json"
LARGEST = 1 << 24  # bytes of a manifest that is believed
BLOCK = 4 << 20  # bytes that are hashed at once
EDITABLE = ("README.md", "Modelfile")  # a person may change these before they are used or sent
LITTER = (".DS_Store",)  # that a file manager leaves anywhere


class FileEntry(NamedTuple):
    """A file as it was written."""

    bytes: int
    sha256: str


Manifest = dict[str, FileEntry]  # files by their paths in the folder


def write(folder: Path) -> None:
    """Describe a folder as it is now."""
    files = {name: FileEntry((folder / name).stat().st_size, sha256(folder / name)) for name in sorted(names(folder))}
    about = {"by": "gemmalocal", "files": {name: entry._asdict() for name, entry in files.items()}}
    (folder / MANIFEST).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read(folder: Path) -> Manifest | None:
    """The manifest of a folder; None if it has none, or one that is damaged."""
    file = folder / MANIFEST
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        if file.stat().st_size <= LARGEST:
            about: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if about["by"] == "gemmalocal":
                entries = dict(about["files"]).items()
                return {str(name): FileEntry(int(entry["bytes"]), str(entry["sha256"])) for name, entry in entries}
    return None


def names(folder: Path) -> set[str]:
    """The files in a folder, at any depth, by their paths in it; the manifest itself is none of them."""
    paths = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
    return {name for name in paths if name != MANIFEST and Path(name).name not in LITTER}


def missing(folder: Path, entries: Manifest) -> str | None:
    """What of a folder is not there or has another size, in words; None if nothing is. Contents are not read."""
    for name, entry in entries.items():
        try:
            size = (folder / name).stat().st_size
        except OSError:
            return f"{name} is missing"
        if size != entry.bytes and name not in EDITABLE:
            return f"{name} has {size:,} bytes instead of {entry.bytes:,}"
    return None


def damage(folder: Path, entries: Manifest, progress: Tell | None = None) -> str | None:
    """The same, with the contents read: None if every file is as it was written."""
    if problem := missing(folder, entries):
        return problem
    total, done = sum(entry.bytes for entry in entries.values()), 0
    for name, entry in entries.items():

        def tell(count: int, before: int = done) -> None:
            if progress:
                progress("checking the files", before + count, total)

        try:
            if name not in EDITABLE and sha256(folder / name, tell) != entry.sha256:
                return f"{name} is not as it was written"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror or error})"
        done += entry.bytes
    return None


def sha256(file: Path, tell: Callable[[int], None] | None = None) -> str:
    """Of a file, read once; `tell` is given the bytes that were read so far."""
    digest, done = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while block := opened.read(BLOCK):
            digest.update(block)
            done += len(block)
            if tell:
                tell(done)
    return digest.hexdigest()
