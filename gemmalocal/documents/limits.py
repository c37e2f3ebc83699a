"""What the reading of one document may take. Generous: real documents stay far below; what is made to harm does not."""

from __future__ import annotations

from dataclasses import dataclass

MEMORY, LEAST_MEMORY = 3 << 30, 1 << 30  # bytes of the process that reads
SHARE = 3  # of the machine's memory it may take one in three
SECONDS, PER_MEGABYTE = 120, 5  # of processor time for a file, and for each MB of it besides
GROWN = 768 << 20  # bytes that a process holds between two files, after which a fresh one goes on
PATIENCE = 5  # times as long by the clock: the machine may be busy, the disk slow


@dataclass(frozen=True)
class Limits:
    """`memory` in bytes while a file is read, `grown` between two, `seconds` of processor time for a small file."""

    memory: int
    seconds: int = SECONDS
    grown: int = GROWN

    def time(self, size: int) -> int:
        """Seconds of processor time that a file of `size` bytes may take without giving anything."""
        return self.seconds + PER_MEGABYTE * size // (1 << 20)


def planned() -> Limits:
    """By this machine's memory."""
    import psutil

    return Limits(max(min(MEMORY, psutil.virtual_memory().total // SHARE), LEAST_MEMORY))
