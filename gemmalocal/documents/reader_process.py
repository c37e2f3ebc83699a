"""The process that reads documents for another: it may crash or grow without harm to anything but the file at hand.

    python -m gemmalocal.documents.reader_process MEMORY GROWN

Asked by frames on stdin for one file after the other, it answers with frames on what was stdout. It ends when stdin is
closed, so it does not outlive the one that asks, and by itself once it holds more than GROWN bytes between two files.
"""

from __future__ import annotations

import math
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import NoReturn

from gemmalocal.documents.document import Document
from gemmalocal.documents.frames import FrameMessage, Inlet, pack, send
from gemmalocal.documents.read import read_each
from gemmalocal.errors import DocumentError
from gemmalocal.records import Rejected

TOGETHER, LETTERS, PAUSE = 256, 1 << 16, 0.5  # rows, characters and seconds after which rows are sent
SPARE = 1 << 30  # bytes that allocators reserve and do not use
SCRATCH = "GEMMALOCAL_SCRATCH"  # the variable that names a folder of ours for temporary files


def main(memory: int, max_grown: int) -> None:
    """Answer until the end of stdin."""
    import psutil

    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no frame
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the asking process that is meant
    _confine(memory)
    requests = SimpleQueue[FrameMessage]()
    Thread(target=_receive, args=(requests,), daemon=True).start()
    send(out, {"ready": True})
    grown, process = False, psutil.Process()
    while not grown:
        request = requests.get()
        for message in answer(request["source"], request["password"], request["seconds"]):
            grown = "end" in message and process.memory_info().rss > max_grown
            send(out, {**message, "grown": grown})


def answer(source: str, password: str | None, seconds: int) -> Iterator[FrameMessage]:
    """What is in a file: `items` as they come, rows together; with the last of them the `end`, and why it is `refused`.

    `seconds` of processor time may pass between two messages.
    """
    _allow(seconds)
    items: list[Document | Rejected] = []
    letters, sent = 0, time.monotonic()
    refused: list[str] = []
    try:
        for item in read_each(source, password):
            if len(items) >= TOGETHER or letters >= LETTERS or (items and time.monotonic() - sent > PAUSE):
                yield {"items": [pack(read_item) for read_item in items]}
                items, letters, sent = [], 0, time.monotonic()
                _allow(seconds)
            items.append(item)
            letters += sum(len(part.text) for part in item.sections) if isinstance(item, Document) else 0
    except DocumentError as error:
        refused = [error.message, error.hint]
    yield {"items": [pack(read_item) for read_item in items], "end": True, "refused": refused}


def _allow(seconds: int) -> None:
    """So much more processor time; the system ends a process that takes more (SIGXCPU)."""
    with suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + seconds, hard))


def _confine(memory: int) -> None:
    """No more than twice the memory that is allowed: whoever started us watches what we really hold.

    macOS does not heed it; there the watching has to do.
    """
    with suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        limit = 2 * memory + SPARE
        resource.setrlimit(resource.RLIMIT_DATA, (limit if hard < 0 else min(limit, hard), hard))
    with suppress(ValueError, OSError):  # a crash is told, and needs no picture of the memory
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # Linux: if the machine's memory is short, this process goes first
        Path("/proc/self/oom_score_adj").write_text("500")


def _receive(requests: SimpleQueue[FrameMessage]) -> None:
    """Requests as they come; at the end of stdin the process ends, whatever it is at."""
    inlet = Inlet(0)
    with suppress(OSError, ValueError):
        while inlet.receive():
            for request in inlet.messages():
                requests.put(request)
    _leave()


def _leave() -> NoReturn:
    """Nobody listens any more."""
    shutil.rmtree(os.environ.get(SCRATCH, ""), ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        main(int(sys.argv[1]), int(sys.argv[2]))
    _leave()
