"""Files that are whole or not there: written aside, fsynced, renamed."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gemmalocal.files import staging

SWAP, HERE = 2, -100  # RENAME_SWAP and RENAME_EXCHANGE are the same number; AT_FDCWD, on Linux


def private(path: str, flags: int) -> int:
    """An opener: what it makes is the user's alone."""
    return os.open(path, flags, 0o600)


def write_text(path: Path, text: str, shared: bool = False) -> None:
    """Replace `path` by `text` (UTF-8); a reader sees the old file or the new one, never a half.

    A new file is the user's alone, unless `shared`; an older one keeps its mode.
    """
    write_bytes(path, text.encode("utf-8"), shared)


def write_bytes(path: Path, content: bytes, shared: bool = False) -> None:
    """The same of any content."""
    aside = staging.path_of(path)
    try:
        with open(aside, "wb", opener=None if shared else private) as file:
            with suppress(OSError):
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        staging.discard(aside)
        raise
    sync_folder(path.parent)


@contextmanager
def new_folder(path: Path, check: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Yield a folder to fill; on success it becomes `path` in one rename, on failure nothing of it is left.

    An older one at `path` is replaced, whole: it is moved aside first, and comes back if the new one does not get
    there, also after a kill (`staging`). `check` is called with it just before, and may raise.
    """
    staging.settle(path)
    with staging.folder(path) as aside:
        yield aside
        for file in sorted(aside.rglob("*")):
            if file.is_file():
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        sync_folder(aside)
        if os.path.lexists(path):
            if check:
                check(path)
            _replace(path, aside)
        else:
            aside.rename(path)
            sync_folder(path.parent)


def _replace(path: Path, aside: Path) -> None:
    """The two change places; where the disk cannot do that: old aside, new in, old away."""
    if exchange(aside, path):
        sync_folder(path.parent)
        staging.discard(aside)
        return
    old = staging.path_of(path, staging.OLD)
    with staging.held(path):
        path.rename(old)
        try:
            aside.rename(path)
        except BaseException:
            old.rename(path)
            raise
        sync_folder(path.parent)
    staging.discard(old)


def exchange(first: Path, second: Path) -> bool:
    """Let two paths change places in one step of the system; False where it, or the disk, has no such step."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(first), os.fsencode(second)
    try:
        if sys.platform == "darwin":
            return bool(libc.renamex_np(*names, SWAP) == 0)
        return bool(libc.renameat2(HERE, names[0], HERE, names[1], SWAP) == 0)
    except AttributeError:  # an old libc
        return False


def remove(path: Path) -> None:
    """Remove a file or a folder; it is renamed first, so that nobody meets half of it. Raises `OSError`."""
    staging.remove(path)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable (a rename is not, until its folder is synced)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
