"""Files of ours that anything may have happened to, read within bounds of time, size and depth."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import system_errors
from gemmalocal.files.sizes import size

LARGEST = 32 * 1024 * 1024  # bytes of a description that is believed
HINT = "Repair it, or move the folder away."


def regular(path: Path) -> BinaryIO:
    """A file, opened for reading; raises `OSError`, also for a pipe or a device, which could keep us waiting."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a name that no file can have
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO), str(path))
    return open(descriptor, "rb")


def tail(path: Path, most: int) -> bytes:
    """The last bytes of a file, `most` of them or all; raises `OSError` as `regular` does."""
    with regular(path) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - most))
        return file.read(most)


def json_object(path: Path, most: int = LARGEST) -> dict[str, Any]:
    """The JSON object in a file; raises `GemmalocalError` that says why there is none."""
    try:
        with regular(path) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise GemmalocalError(getattr(system_errors.explained(error), "message", str(error)), HINT) from error
    if len(content) > most:
        raise GemmalocalError(f"{path} has more than {size(most)}.", HINT)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise GemmalocalError(f"{path} is damaged: it is not JSON.", HINT) from error
    if not isinstance(value, dict):
        raise GemmalocalError(f"{path} is damaged: it is not a JSON object.", HINT)
    return value


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, sorted, hidden things left out; nothing where it cannot be looked into."""
    try:
        return sorted(folder / name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []


def is_file(path: Path) -> bool:
    """Whether there is a file that can be seen; never raises."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def changed(path: Path) -> float:
    """When a file last changed, in seconds since the epoch; 0 where that is not known."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
