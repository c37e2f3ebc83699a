"""What the reading of one document may take. Generous: real documents stay far below; what is made to harm does not."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

MEMORY, LEAST_MEMORY = 3 << 30, 1 << 30  # bytes of the processes that read
SHARE = 3  # of the machine's memory they may take one in three
SECONDS, PER_MEGABYTE = 120, 5  # of processor time for a file, and for each MB of it besides
GROWN = 768 << 20  # bytes that they hold between two files, after which a fresh one goes on
MOST_READERS = 2  # processes; the one that asks cuts and compares beside them
PATIENCE = 5  # times as long by the clock: the machine may be busy, the disk slow


@dataclass(frozen=True)
class Limits:
    """`memory` in bytes while files are read, of all `readers`; `grown` between two files, of each; `seconds` of
    processor time for a small file."""

    memory: int
    seconds: int = SECONDS
    grown: int = GROWN
    readers: int = 1

    def time(self, size: int) -> int:
        """Seconds of processor time that a file of `size` bytes may take without giving anything."""
        return self.seconds + PER_MEGABYTE * size // (1 << 20)


def planned() -> Limits:
    """By this machine's memory, and its processor cores."""
    import psutil

    memory = max(min(MEMORY, psutil.virtual_memory().total // SHARE), LEAST_MEMORY)
    readers = min(MOST_READERS, _cores(), memory // LEAST_MEMORY)
    return Limits(memory, grown=GROWN // readers, readers=readers)


def _cores() -> int:
    """Those that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
