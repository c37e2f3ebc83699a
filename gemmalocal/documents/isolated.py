"""Documents read in a process apart: whatever a file does to its reader, it is refused by name and the others are read.

One process reads all files, and some ahead; it is replaced when it dies, or has grown.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from gemmalocal.documents import frames, limits
from gemmalocal.documents.document import Document
from gemmalocal.documents.find import shown
from gemmalocal.documents.limits import PATIENCE, Limits
from gemmalocal.documents.read import is_remote, read_each
from gemmalocal.documents.reader_process import SCRATCH
from gemmalocal.errors import DocumentError, WorkKilled
from gemmalocal.records import Rejected

Items = Iterator[Document | Rejected]
PREFIX = "gemmalocal-reading-"  # of folders for temporary files; the asking process's id follows
AHEAD = 8  # places that are asked for before their turn
LOOK = 0.1  # seconds between two looks at the memory that the reader holds
TURN = 0.2  # seconds between two calls of `idle` while a document is read
MEMORY, TIME = "memory", "time"


class IsolatedReader:
    """`read_all` in a process apart; to be closed, or used in a `with`.

    `idle` is called several times a second while a document is waited for, and may raise to give up. Addresses
    (hf:, youtube:) name no file, and are read here.
    """

    def __init__(
        self, password: str | None = None, idle: Callable[[], None] = lambda: None, bounds: Limits | None = None
    ) -> None:
        self._password, self._idle = password, idle
        self._limits = bounds or limits.planned()
        self._child: _Child | None = None

    def read_all(self, places: Sequence[str]) -> Iterator[tuple[str, Items]]:
        """Each place with what is read there, as `read_each` gives it, to be taken before the next.

        The items raise `DocumentError` if the place, or the rest of it, cannot be read.
        """
        for number, place in enumerate(places):
            items = self._items(place, places[number + 1 : number + AHEAD])
            yield place, items
            with suppress(DocumentError):
                deque(items, maxlen=0)  # what nobody wanted stands before the next

    def close(self) -> None:
        """End the process, at once."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def __enter__(self) -> IsolatedReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _items(self, place: str, ahead: Sequence[str]) -> Items:
        if is_remote(place):
            yield from read_each(place, self._password)
            return
        again = True
        while again:
            self._ask(place)
            for other in ahead:
                if not is_remote(other):
                    self._ask(other)
            again = yield from self._answer(place)

    def _ask(self, place: str) -> None:
        """Ask for a place, unless that was done."""
        if self._child is None:
            self._child = _Child(self._limits)
        if place not in self._child.asked:
            self._child.ask(place, self._password)

    def _answer(self, place: str) -> Generator[Document | Rejected, None, bool]:
        """What came of a place; True if it is to be asked again, since another document may be to blame."""
        child = self._child
        assert child is not None
        count = 0
        for message in child.messages(self._idle):
            for item in message.get("items", ()):
                count += 1
                yield frames.unpacked(item)
            if "end" in message:
                return self._ended(child, message)
        why = child.end()
        self._child = None
        if not child.ready:
            raise WorkKilled(f"The process that reads documents does not start ({why}).")
        if child.documents and not count and why not in (MEMORY, TIME):  # it may have been hurt by an earlier one
            return True
        raise self._lost(place, why, count)

    def _ended(self, child: _Child, last: frames.Message) -> bool:
        """A document came to its end; raises what it was refused for."""
        child.documents += 1
        child.asked.popleft()
        if last["grown"]:
            self.close()
        if last["refused"]:
            raise DocumentError(*last["refused"])
        return False

    def _lost(self, place: str, why: str, count: int) -> DocumentError:
        """The sentence about a document that ended its reader, after `count` rows of it."""
        after = f" The {count} rows before that were read." if count else ""
        if why == MEMORY:
            memory = f"{self._limits.memory / (1 << 30):.1f} GB"
            what, hint = f"takes more than {memory} of memory to read", "Split it into smaller files, or leave it out."
        elif why == TIME:
            seconds = self._limits.time(_size(place))
            what, hint = f"takes more than {seconds} seconds to read", "Split it into smaller files, or leave it out."
        else:
            what, hint = f"ends the program that reads it ({why})", "It may be damaged: open it and save it again."
        return DocumentError(f"{shown(place)} {what}.{after}", hint)


class _Child:
    """One process that reads; `asked` are the places that it has not answered yet, in order."""

    def __init__(self, bounds: Limits) -> None:
        _sweep()
        self.asked = deque[str]()
        self.documents = 0  # that it has read to their ends
        self._limits, self._why = bounds, ""
        self._scratch = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
        environment = os.environ | {"TMPDIR": self._scratch, SCRATCH: self._scratch}
        sizes = str(bounds.memory), str(bounds.grown)
        command = [sys.executable, "-m", "gemmalocal.documents.reader_process", *sizes]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment
            )
        except OSError as error:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise WorkKilled(f"No process can be started to read documents: {error.strerror or error}.") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests = self._process.stdin.fileno()
        self._inlet = frames.Inlet(self._process.stdout.fileno())
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._inlet.descriptor, selectors.EVENT_READ)
        self.ready = False
        self._over = Event()
        Thread(target=self._watch, daemon=True).start()

    def ask(self, place: str, password: str | None) -> None:
        """Ask for a document; that the process is dead shows when it does not answer."""
        self.asked.append(place)
        seconds = self._limits.time(_size(place))
        with suppress(BrokenPipeError):
            frames.send(self._requests, {"source": place, "password": password, "seconds": seconds})

    def messages(self, idle: Callable[[], None]) -> Iterator[frames.Message]:
        """What comes of the first place that was asked for, until the process ends."""
        patience = PATIENCE * self._limits.time(_size(self.asked[0]))
        deadline = time.monotonic() + patience
        while True:
            for message in self._inlet.messages():
                self.ready = True
                if "ready" not in message:
                    yield message
                deadline = time.monotonic() + patience
            if not self._selector.select(TURN):
                idle()
                if time.monotonic() > deadline:
                    self._kill(TIME)
            elif not self._inlet.receive():
                return

    def end(self) -> str:
        """End it and what it left; why it had ended by itself, in a word."""
        self._over.set()
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        code = self._wait()
        shutil.rmtree(self._scratch, ignore_errors=True)
        if code == -signal.SIGXCPU:
            return TIME
        return self._why or (signal.Signals(-code).name if code < 0 else f"exit code {code}")

    def _wait(self) -> int:
        """Its exit code: it ends because its pipes are closed, and is killed if it does not."""
        try:
            return self._process.wait(TURN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _kill(self, why: str) -> None:
        self._why = self._why or why
        self._process.kill()

    def _watch(self) -> None:
        """Beside everything else: what the process holds; the system's own limits are not heeded everywhere."""
        import psutil

        with suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            while not self._over.wait(LOOK):
                if process.memory_info().rss > self._limits.memory:
                    self._kill(MEMORY)
                    return


def _size(place: str) -> int:
    try:
        return os.stat(place).st_size
    except (OSError, ValueError):
        return 0


def _sweep() -> None:
    """Remove temporary files of those that were killed together with their readers."""
    import psutil

    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
