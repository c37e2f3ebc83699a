"""Which process works on a job: its number and its start, written by itself into the lock that it holds.

A number alone is given again by the system; with the start it is told whether the one that wrote it still runs.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gemmalocal.files import safe_read

SIGNED = 100  # bytes: more than a signature has


def sign(lock: Path) -> None:
    """Write down that this process holds a lock."""
    lock.write_text(f"{os.getpid()} {began(os.getpid())}", encoding="utf-8")


def began(pid: int) -> str:
    """When a process began, in a clock that nobody sets; empty if there is none."""
    if sys.platform == "linux":
        with suppress(OSError, IndexError):
            return (
                Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
            )
        return ""
    import psutil

    with suppress(psutil.Error):
        return f"{psutil.Process(pid).create_time():.3f}"
    return ""


def group(lock: Path) -> int | None:
    """The process group that holds a lock; None if nobody has signed, or who has is gone with all of its group."""
    try:
        with safe_read.regular(lock) as file:  # of what is damaged, a lock may be a pipe
            number, _, start = file.read(SIGNED).decode().strip().partition(" ")
    except (OSError, UnicodeDecodeError):
        return None
    if not number.isdecimal() or (pid := int(number[:12])) < 2:
        return None
    if now := began(pid):
        same = now == start if start else _holds(pid, lock)  # older versions wrote no start
        return pid if same and _leads(pid) else None
    return pid if any(_holds(member, lock) for member in _members(pid)) else None


def signal_group(pid: int) -> None:
    """End a whole process group at once; nothing if it has ended meanwhile."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def holders(lock: Path) -> list[int]:
    """Our processes that have a lock open, whatever their group; this looks at all, and takes its time."""
    import psutil

    return [pid for pid in psutil.pids() if pid != os.getpid() and _holds(pid, lock)]


def _leads(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except OSError:
        return False


def _members(group: int) -> Iterator[int]:
    import psutil

    for pid in psutil.pids():
        with suppress(OSError):
            if os.getpgid(pid) == group:
                yield pid


def _holds(pid: int, lock: Path) -> bool:
    import psutil

    with suppress(psutil.Error, OSError):
        return any(Path(file.path) == lock.resolve() for file in psutil.Process(pid).open_files())
    return False
