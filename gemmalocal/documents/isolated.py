"""Documents read in processes apart: whatever a file does to its reader, it is refused by name and the others are read.

One process reads, and some files ahead; a second joins it once we have waited, where the machine has the cores and the
memory. One is replaced when it dies, or has grown.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread

from gemmalocal.documents import frames, limits
from gemmalocal.documents.document import Document
from gemmalocal.documents.find import printable
from gemmalocal.documents.limits import PATIENCE, Limits
from gemmalocal.documents.read import is_remote, read_each
from gemmalocal.documents.reader_child import MEMORY, RESTART, TIME, Child, size_of
from gemmalocal.errors import DocumentError, WorkKilled
from gemmalocal.files.sizes import size
from gemmalocal.jobs.plurals import counted
from gemmalocal.records import Rejected

Items = Iterator[Document | Rejected]
AHEAD = 16  # places that are asked for before their turn
MOST_BUFFERED = 16 << 20  # bytes that come of a process before its turn; then it has to wait
LOOK = 0.1  # seconds between two looks at the memory that the readers hold
TURN = 0.2  # seconds between two calls of `idle` while a document is read
WAITED = 1.0  # seconds that we waited for one reader before there are two: a start costs half of that
FEW = 2  # documents that one reads by itself
YIELDED = "yielded"  # its memory to the one whose turn it is


class IsolatedReader:
    """`read_all` in processes apart; to be closed, or used in a `with`.

    `idle` is called several times a second while a document is waited for, and may raise to give up. Addresses
    (hf:, youtube:) name no file, and are read here.
    """

    def __init__(
        self, password: str | None = None, idle: Callable[[], None] = lambda: None, bounds: Limits | None = None
    ) -> None:
        self.idle = idle
        self._password = password
        self._limits = bounds or limits.planned()
        self._sources: Sequence[str] = ()
        self._children: list[Child] = []
        self._due: Child | None = None  # whose turn it is; the lock is held where it changes, and where others yield
        self._lock, self._over = Lock(), Event()
        self._waited = 0.0  # seconds, for what was ready to read
        self._alone = False  # the document at hand needs the memory for itself

    def begin(self, sources: Sequence[str]) -> None:
        """Begin with the first places that `read_all` will be called with, and come back at once."""
        self._sources = sources
        self._ask(0)

    def read_all(self, sources: Sequence[str]) -> Iterator[tuple[str, Items]]:
        """Each place with what is read there, as `read_each` gives it, to be taken before the next.

        The items raise `DocumentError` if the place, or the rest of it, cannot be read.
        """
        if sources is not self._sources:
            self.close()
            self._sources = sources
        for number, source in enumerate(sources):
            items = self._items(number)
            yield source, items
            with suppress(DocumentError):
                deque(items, maxlen=0)  # what nobody wanted stands before the next

    def close(self) -> None:
        """End the processes, at once."""
        self._over.set()
        while self._children:
            self._drop(self._children[0])
        self._over = Event()

    def __enter__(self) -> IsolatedReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _items(self, number: int) -> Items:
        source = self._sources[number]
        if is_remote(source):
            yield from read_each(source, self._password)
            return
        self._alone = False
        retry = True
        while retry:
            retry = yield from self._answer(number, self._turn(number))

    def _turn(self, number: int) -> Child:
        """The process that reads a place; from now on the memory is its own."""
        while True:
            self._ask(number)
            child = next(child for child in self._children if number in child.requested)
            with self._lock:
                self._due = child
                if child.killed_for != YIELDED:
                    return child
            self._drop(child)

    def _ask(self, first: int) -> None:
        """Ask for a place, and for some behind it, of those that were not asked for."""
        requested = {number for child in self._children for number in child.requested}
        for number in range(first, min(first + AHEAD, len(self._sources))):
            if number in requested or is_remote(self._sources[number]):
                continue
            child = self._reader(number, due=number == first)
            if child is None:
                return
            child.ask(number, self._sources[number], self._password)

    def _reader(self, number: int, due: bool) -> Child | None:
        """The process that a place is best asked of, a new one if need be; None if it has to wait."""
        able = [child for child in self._children if child.can_take(number) and (due or child.has_room())]
        child = min(able, key=lambda child: child.busy, default=None)
        if due or not self._children:
            return child or self._started()
        if (child is None or child.busy) and self._may_start():
            with suppress(WorkKilled):  # one reader does
                return self._started()
        return child

    def _may_start(self) -> bool:
        pays = len(self._sources) > FEW and self._waited > WAITED
        return pays and len(self._children) < self._limits.readers and not self._alone

    def _started(self) -> Child:
        child = Child(self._limits)
        self._children.append(child)
        if len(self._children) == 1:
            self._over.set()  # of those before
            self._over = Event()
            Thread(target=self._watch, args=(self._over,), daemon=True).start()
        return child

    def _drop(self, child: Child) -> str:
        """End a process; what it was asked for is asked again. Says why it had ended."""
        with self._lock:
            self._children.remove(child)
            self._due = None if self._due is child else self._due
        return child.end()

    def _answer(self, number: int, child: Child) -> Generator[Document | Rejected, None, bool]:
        """What came of a place; True if it is to be asked again, since another document may be to blame."""
        count = 0
        for message in self._messages(number, child):
            for item in message.get("items", ()):
                count += 1
                yield frames.unpack(item)
            if "end" in message:
                return self._ended(child, message)
        why = self._drop(child)
        if not child.ready:
            raise WorkKilled(f"The process that reads documents could not be started ({why}).", RESTART)
        if child.documents and not count and why not in (MEMORY, TIME):  # it may have been hurt by an earlier one
            return True
        raise self._lost(self._sources[number], why, count)

    def _messages(self, number: int, child: Child) -> Iterator[frames.FrameMessage]:
        """What comes of the place whose turn it is, until the process ends."""
        patience = PATIENCE * self._limits.time(size_of(self._sources[number]))
        deadline, idled = time.monotonic() + patience, time.monotonic()
        while True:
            while child.messages:
                yield child.take()
                deadline = time.monotonic() + patience
            if child.over:
                return
            self._wait(child)
            self._ask(number)
            now = time.monotonic()
            if now - idled > TURN:
                self.idle()
                idled = now
            if now > deadline:
                child.kill(TIME)

    def _wait(self, due: Child) -> None:
        """Take in what processes say, of the others no more than can be held."""
        start, ready = time.monotonic(), due.ready
        with selectors.DefaultSelector() as selector:
            for child in self._children:
                if child is due or not (child.over or child.buffered > MOST_BUFFERED):
                    selector.register(child.descriptor, selectors.EVENT_READ, child)
            for key, _ in selector.select(TURN):
                key.data.receive()
        self._waited += time.monotonic() - start if ready else 0

    def _ended(self, child: Child, last: frames.FrameMessage) -> bool:
        """A document came to its end; raises what it was refused for."""
        child.documents += 1
        child.requested.popleft()
        if last["grown"]:
            self._drop(child)
        if last["refused"]:
            raise DocumentError(*last["refused"])
        return False

    def _lost(self, source: str, why: str, count: int) -> DocumentError:
        """The sentence about a document that ended its reader, after `count` rows of it."""
        progress = f" The {counted(count, 'row before that was', 'rows before that were')} read." if count else ""
        if why == MEMORY:
            memory = size(self._limits.memory)
            problem, hint = (
                f"takes more than {memory} of memory to read",
                "Split it into smaller files, or leave it out.",
            )
        elif why == TIME:
            seconds = self._limits.time(size_of(source))
            problem, hint = (
                f"takes more than {seconds} seconds to read",
                "Split it into smaller files, or leave it out.",
            )
        else:
            problem, hint = (
                f"makes the program that reads it fail ({why})",
                "It may be damaged: open it and save it again.",
            )
        return DocumentError(f"{printable(source)} {problem}.{progress}", hint)

    def _watch(self, over: Event) -> None:
        """Beside everything else: what the processes hold; the system's own limits are not heeded everywhere.

        Together they hold no more than one may: those whose turn it is not yield, and are asked again.
        """
        while not over.wait(LOOK):
            with self._lock:
                memory = {child: child.memory() for child in self._children}
                for child in memory:
                    if memory[child] > self._limits.memory and child is self._due:
                        child.kill(MEMORY)
                    elif sum(memory.values()) > self._limits.memory and child is not self._due:
                        self._alone = True
                        child.kill(YIELDED)
