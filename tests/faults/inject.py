"""What is put in a job's way from within its process: a death, or an error of the system, at the n-th change of a file.

Python tells an audit hook of each change before it is made, and lets it forbid it (PEP 578). What a library writes in
its own code is not told, so jobs are also killed at random moments from outside.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Way = Literal["kill", "full disk", "read-only disk", "broken disk", "long file", "moment", "count", "nothing"]
NUMBERS = {"full disk": errno.ENOSPC, "read-only disk": errno.EROFS, "broken disk": errno.EIO}
LASTING = ("full disk", "read-only disk")  # until the attempt ends; a broken disk fails once
MAKING = ("open", "os.mkdir", "os.symlink", "os.link", "os.truncate")
MOVING = ("os.rename", "os.remove", "os.rmdir")  # these need no room


@dataclass(frozen=True)
class Injection:
    """One fault: at the change number `at` (from 1), after `at` bytes of a file, or by `signal` after `at` seconds."""

    way: Way
    at: float = 0
    signal: int = signal.SIGKILL

    def __str__(self) -> str:
        if self.way == "moment":
            return f"{signal.Signals(self.signal).name} after {self.at:.3f} s"
        return f"{self.way} at {self.at:.0f}"


def arm(injection: Injection, root: Path) -> Callable[[], int]:
    """From now on, for this process: its changes below `root` are counted (the result tells), and one meets the fault.

    It cannot be undone, so only a process that ends with its job may call it.
    """
    if injection.way == "long file":
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(injection.at), resource.RLIM_INFINITY))
        return lambda: 0
    counted = [0]
    below = f"{root}{os.sep}"

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if (event not in MAKING and event not in MOVING) or not _changes(event, arguments, below):
            return
        counted[0] += 1
        if counted[0] == injection.at and injection.way == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        hit = counted[0] >= injection.at if injection.way in LASTING else counted[0] == injection.at
        if hit and injection.way in NUMBERS and not (injection.way == "full disk" and event in MOVING):
            number = NUMBERS[injection.way]
            raise OSError(number, os.strerror(number), os.fsdecode(arguments[0]))

    sys.addaudithook(hook)
    return lambda: counted[0]


def _changes(event: str, arguments: tuple[Any, ...], below: str) -> bool:
    """Whether an audited call changes something below a folder; opening a file to read it does not."""
    path = arguments[0]
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    descriptor = arguments[-1] if event in ("os.remove", "os.rmdir", "os.mkdir") else -1
    base = os.readlink(f"/proc/self/fd/{descriptor}") if descriptor >= 0 else os.getcwd()
    if not os.path.normpath(os.path.join(base, os.fsdecode(path))).startswith(below):
        return False
    if event != "open":
        return True
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
