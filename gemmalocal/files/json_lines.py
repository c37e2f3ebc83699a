"""A file of JSON that grows by lines: what was added outlives a power cut, and a line torn by a kill is cut off."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from gemmalocal.files import atomic


def stored(path: Path) -> Iterator[Any]:
    """The values of its lines, none if there is no file; lines that are not JSON are passed over.

    At the end a torn last line is cut off, so that the next one stands alone.
    """
    if not path.exists():
        return
    with path.open("r+b") as lines:
        complete = 0
        for line in lines:
            if not line.endswith(b"\n"):
                break
            complete += len(line)
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            yield value
        lines.truncate(complete)


def growing(path: Path) -> IO[bytes]:
    """The file, made if there is none, for `add`."""
    return open(path, "ab", opener=atomic.private)


def add(file: IO[bytes], values: Iterable[Any]) -> None:
    """Add a line for each value, and wait until the disk has them."""
    file.write(b"".join(json.dumps(value).encode() + b"\n" for value in values))
    file.flush()
    os.fsync(file.fileno())
