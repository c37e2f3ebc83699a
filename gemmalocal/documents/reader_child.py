"""One process that reads documents, as the process sees it that asks."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import deque
from contextlib import suppress
from pathlib import Path

import psutil

from gemmalocal.documents import frames
from gemmalocal.documents.limits import Limits
from gemmalocal.documents.reader_process import SCRATCH
from gemmalocal.errors import WorkKilled

PREFIX = "gemmalocal-reading-"  # of folders for temporary files; the asking process's id follows
PIPE = 1 << 20  # bytes that it may be ahead of the one that asks, where the system lets us say
MEMORY, TIME = "memory", "time"  # why it was killed
RESTART = "Close other programs, and start it again."
LEAVES = 0.2  # seconds in which it ends by itself once its pipes are closed
DEEP, SOME = 8, 1 << 18  # places that it is asked for ahead, if they come to no more bytes; two in any case


class Child:
    """`asked` are the numbers of places that were asked for and not taken, in order; `messages` what came of them."""

    def __init__(self, bounds: Limits) -> None:
        sweep()
        self.requested = deque[int]()
        self.messages = deque[frames.FrameMessage]()
        self.buffered = 0  # bytes that came and were not taken
        self.ready = self.over = False
        self.documents = 0  # that were taken to their ends
        self.killed_for = ""  # it was killed
        self._sizes = deque[int]()  # of the files that it has not answered
        self._limits = bounds
        self._scratch = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
        environment = os.environ | {"TMPDIR": self._scratch, SCRATCH: self._scratch}
        sizes = str(bounds.memory), str(bounds.grown)
        command = [sys.executable, "-m", "gemmalocal.documents.reader_process", *sizes]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment, pipesize=PIPE
            )
        except OSError as error:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise WorkKilled(
                f"No process can be started to read documents: {error.strerror or error}.", RESTART
            ) from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests = self._process.stdin.fileno()
        self._inlet = frames.Inlet(self._process.stdout.fileno())
        self.descriptor = self._inlet.descriptor

    @property
    def busy(self) -> int:
        """How many places it has not answered."""
        return len(self._sizes)

    def can_take(self, number: int) -> bool:
        """Whether a place can be asked for: answers come in the order of places."""
        return not self.over and (not self.requested or self.requested[-1] < number)

    def has_room(self) -> bool:
        """Whether it would run dry without another place."""
        return self.busy < 2 or (self.busy < DEEP and sum(self._sizes) < SOME)

    def ask(self, number: int, source: str, password: str | None) -> None:
        """Ask for a document; that the process is dead shows when it does not answer."""
        size = size_of(source)
        self.requested.append(number)
        self._sizes.append(size)
        with suppress(BrokenPipeError):
            frames.send(self._requests, {"source": source, "password": password, "seconds": self._limits.time(size)})

    def receive(self) -> None:
        """Take in what it says, or that it has ended."""
        before = self._inlet.waiting
        self.over = not self._inlet.receive()
        self.buffered += self._inlet.waiting - before
        for message in self._inlet.messages():
            self.ready = True
            if "ready" not in message:
                self.messages.append(message)
            if "end" in message:
                self._sizes.popleft()

    def take(self) -> frames.FrameMessage:
        """The next message."""
        message = self.messages.popleft()
        if not self.messages:
            self.buffered = self._inlet.waiting
        return message

    def memory(self) -> int:
        """Bytes that the process holds; 0 if it has ended."""
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def kill(self, why: str) -> None:
        """End it at once; `why` is told by `end`."""
        self.killed_for = self.killed_for or why
        self._process.kill()

    def end(self) -> str:
        """End it and what it left; why it had ended by itself, in a word."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        code = self._wait()
        shutil.rmtree(self._scratch, ignore_errors=True)
        if code == -signal.SIGXCPU:
            return TIME
        return self.killed_for or (signal.Signals(-code).name if code < 0 else f"exit code {code}")

    def _wait(self) -> int:
        """Its exit code: it ends because its pipes are closed, and is killed if it does not."""
        try:
            return self._process.wait(LEAVES)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def size_of(source: str) -> int:
    """Bytes of a file; 0 if there is none."""
    try:
        return os.stat(source).st_size
    except (OSError, ValueError):
        return 0


def sweep() -> None:
    """Remove temporary files of those that were killed together with their readers."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
