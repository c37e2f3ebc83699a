"""What lies beside a file or a folder while it is written, replaced or removed, and what becomes of it after a kill.

`.NAME.PID.tmp` is being written, `.NAME.PID.old` was moved away for a new NAME, `.NAME.PID.gone` is being removed; PID
is the process that does. Once that is gone: an old one goes back to its name if nothing stands there, all others go.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gemmalocal.files import paths

NEW, OLD, GONE = "tmp", "old", "gone"
_NAME = re.compile(r"\.(.+)\.(\d{1,9})\.(tmp|old|gone|gguf)", re.DOTALL)  # gguf: the demo's, of older versions


@dataclass(frozen=True)
class Aside:
    """One that was found: `name` is the final name that it lies beside, `pid` the process that put it there."""

    path: Path
    name: str
    pid: int
    kind: str

    @property
    def abandoned(self) -> bool:
        """Whether its process is gone: neither does it run nor does anybody hold the lock on it."""
        return not _works(self.pid, self.path) and not is_held(self.path)

    @property
    def bytes(self) -> int:
        """Of all that is in it."""
        return tree_bytes(self.path)

    def settle(self) -> None:
        """Put an old one back if nothing stands at its name, else remove it. What cannot be is left for later."""
        target = self.path.with_name(self.name)
        with suppress(OSError):
            if self.kind == OLD and not os.path.lexists(target):
                self.path.rename(target)
            else:
                discard(self.path)


def path_of(path: Path, kind: str = NEW) -> Path:
    """Where this process puts what lies beside `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.{kind}")


@contextmanager
def folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; what is still there at the end is removed."""
    aside = path_of(path)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        with held(aside):
            yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Lock a folder, so that others see that it is worked on: PIDs say nothing across containers."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network's disk may have no locks; then the PID alone tells
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file or a folder, which is renamed first: nobody meets half of it. Raises `OSError`."""
    aside = _read(path)
    gone = path_of(path.with_name(aside.name) if aside else path, GONE)
    if path != gone:
        _remove(gone)
        path.rename(gone)
    _remove(gone)


def discard(path: Path) -> None:
    """Remove what is not needed any more, as `remove` does; what cannot be removed is left for a later sweep."""
    with suppress(OSError):
        remove(path)


def in_folder(place: Path, name: str | None = None) -> list[Aside]:
    """The asides that lie in a folder, or only those of one final `name`."""
    try:
        asides = [aside for entry in os.scandir(place) if (aside := _read(Path(entry.path)))]
    except OSError:
        return []
    return [aside for aside in asides if name is None or aside.name == name]


def below(place: Path) -> Iterator[Aside]:
    """The asides at any depth; links are not followed."""
    for path, folders, files in os.walk(place):
        asides = [aside for name in (*folders, *files) if (aside := _read(Path(path, name)))]
        yield from asides
        away = {aside.path.name for aside in asides}
        folders[:] = [name for name in folders if name not in away]


def settle(path: Path) -> None:
    """Settle what processes that are gone left beside `path`."""
    _settle_all(in_folder(path.parent, path.name))


def sweep(place: Path) -> None:
    """Settle what processes that are gone left in a folder of ours, at any depth."""
    _settle_all(below(place))


def tidy() -> None:
    """Settle what they left beside the runs, datasets, models, chats and errands of the workspace."""
    for place in (paths.runs(), paths.datasets(), paths.models(), paths.chats(), paths.errands()):
        _settle_all(in_folder(place))


def _settle_all(asides: Iterable[Aside]) -> None:
    for aside in list(asides):
        if aside.abandoned:
            aside.settle()


def tree_bytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; those that vanish meanwhile do not count."""
    total = 0
    paths = (Path(place, name) for place, _, files in os.walk(path) for name in files) if path.is_dir() else [path]
    for file in paths:
        with suppress(OSError):
            total += file.lstat().st_size
    return total


def _read(path: Path) -> Aside | None:
    match = _NAME.fullmatch(path.name)
    return Aside(path, match[1], int(match[2]), match[3]) if match else None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _works(pid: int, path: Path) -> bool:
    """Whether another process of that number runs that can have made `path`: no zombie, and begun before."""
    if pid == os.getpid():
        return not path.is_dir()  # of a folder its lock tells; files are written in a moment
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.create_time() <= path.lstat().st_ctime + 1  # else the number was given again
    except psutil.AccessDenied:
        return True
    except (psutil.Error, OSError):
        return False


def is_held(path: Path) -> bool:
    """Whether somebody holds a lock on a file or a folder; False for what is not there."""
    try:  # a pipe would keep us waiting for its other end
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError):  # there is none, none that we may look at, or a name that no file can have
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: who looks is no holder
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False
