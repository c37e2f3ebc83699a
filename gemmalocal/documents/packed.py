"""Zip files that are documents, and gzip around any: opened no further than a limit."""

from __future__ import annotations

import gzip
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gemmalocal.documents.document import Unreadable

LARGEST = 512 << 20  # bytes of one file, packed or unpacked
CHUNK = 1 << 20
GZIP = b"\x1f\x8b"
TOO_LARGE = f"is too large: more than {LARGEST >> 20} MB"
LARGEST_MARKUP = 128 << 20  # bytes of a part that is parsed whole: the tree takes ten times as much memory
MARKUP = (".xml", ".rels", ".xhtml", ".html", ".htm", ".opf", ".ncx")
SUSPECT, EXPANSION = 32 << 20, 200  # bytes unpacked, and times its packed size, that no document of people reaches
BROKEN_ZIP = (  # what `zipfile` raises for a damaged archive, or for what is none
    zipfile.BadZipFile, NotImplementedError, ValueError, KeyError, RuntimeError, OSError, EOFError,
)  # fmt: skip
SMALLER = "Split it into smaller files."


def check(file: Path, markup: bool = True) -> None:
    """Raise `Unreadable` for a zip file that is damaged, or unpacks to more than documents do.

    `markup`: its parts are parsed whole, and may not be as large as all of it. `zipfile` gives no more of a member
    than its directory says, so the sum of that holds.
    """
    try:
        with zipfile.ZipFile(file) as packed:
            members = packed.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise Unreadable(f"is damaged: {error}", "Fetch or save it again.") from error
    size = sum(member.file_size for member in members)
    if size > LARGEST:
        raise Unreadable(f"{TOO_LARGE} unpacked", SMALLER)
    if size > SUSPECT and size > EXPANSION * file.stat().st_size:
        raise Unreadable(
            f"unpacks to {size // file.stat().st_size} times its size, which no document does", "Leave it out."
        )
    parts = (member for member in members if member.filename.lower().endswith(MARKUP))
    if markup and any(part.file_size > LARGEST_MARKUP for part in parts):
        raise Unreadable(f"is too large: a part of it has more than {LARGEST_MARKUP >> 20} MB of markup", SMALLER)


def plain_name(file: Path) -> str:
    """A file's name out of its .gz."""
    return file.stem if file.suffix.lower() == ".gz" else file.name


@contextmanager
def temporary(name: str) -> Iterator[Path]:
    """A path for a file of this name in a folder of its own, which is removed with what was written there."""
    with tempfile.TemporaryDirectory(prefix="gemmalocal-") as folder:
        yield Path(folder) / name


@contextmanager
def unpacked(file: Path) -> Iterator[Path]:
    """A file as it is; of what gzip packed, a temporary one with what it holds, under the name without .gz."""
    with file.open("rb") as raw:
        is_packed = raw.read(2) == GZIP
    if not is_packed:
        yield file
        return
    with temporary(plain_name(file)) as target:
        try:
            with gzip.open(file) as packed, target.open("wb") as out:
                while chunk := packed.read(CHUNK):
                    if out.tell() + len(chunk) > LARGEST:
                        raise Unreadable(f"{TOO_LARGE} unpacked", SMALLER)
                    out.write(chunk)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise Unreadable(f"is damaged: {error}", "Fetch or save it again.") from error
        yield target


@contextmanager
def renamed(file: Path, suffix: str) -> Iterator[Path]:
    """A file under a name that ends as its content says."""
    with temporary(f"{file.stem}{suffix}") as link:
        link.symlink_to(file.absolute())
        yield link
