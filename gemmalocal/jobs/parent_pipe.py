"""A child that does not outlive its parent, however that ends: kill -9 runs no clean-up, yet it closes the pipes.

The parent holds the one write end of the child's stdin; the child reads it, and is told nothing but its end. Python
keeps a descriptor from other children (PEP 446), on macOS and Linux alike.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from threading import Thread
from typing import IO


def start(command: Sequence[str], log: IO[bytes], environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a child that calls `hold`, with both its outputs in `log`; it ends when the result or this process does."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)


def hold(last: Callable[[], None] = lambda: None) -> None:
    """In the child: end this process once the parent's end of stdin is closed, after `last`.

    A library that keeps Python's lock for long, as one does that loads a model, delays it for so long.
    """
    Thread(target=_wait, args=(last,), daemon=True).start()


def _wait(last: Callable[[], None]) -> None:
    while os.read(0, 1):
        pass
    last()
    os._exit(1)  # other threads would keep the process
