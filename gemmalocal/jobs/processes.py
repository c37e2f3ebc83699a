"""A job directory as a living process: start, poll, ask, kill.

The child inherits the locked descriptor of `lock`, so there is no instant in which a job looks dead before it lives.
Locks are POSIX `flock`: local disks on macOS and Linux.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from gemmalocal.errors import JobBusy
from gemmalocal.files import atomic, paths, safe_read, staging
from gemmalocal.jobs import holder
from gemmalocal.jobs.event_lines import decode
from gemmalocal.jobs.events import Event, Started

ATTEMPT = b"--- an attempt begins: "  # opens each attempt's part of log.txt
LINGERS = 3600.0  # seconds that a dead errand's folder stays: whoever asked may still read it
DIES = 0.05  # seconds that a process which has just been killed may still hold its lock
LOOKS = 5.0  # seconds until a lock that watchers look at, each for microseconds, is free between two looks
BEGINS = 5.0  # seconds in which a process that was started must have signed its lock
LONGEST = 64 * 1024 * 1024  # bytes of an event's line
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
TAIL = 16_384  # bytes of a log's end
PRIVATE = 0o077  # what jobs make is the user's alone: it holds what people wrote
BY_PERSON = "killed"  # the file that says that a person killed the job
SECRET = "secret"  # where a spec says which descriptor holds it
SHARED = ("fetch", "import_gguf", "adapter", "convert")  # these make what others may use, as do exports to a folder


def start(directory: Path, kind: str, spec: dict[str, Any], tied: bool = False, secret: str = "") -> Job:
    """Start a child process for the job in `directory`; raises `JobBusy` if one lives there already.

    One that is `tied` ends with the returned object, or with this process, however that ends. A `secret` is written
    down nowhere: the job reads it, once, from the descriptor that its spec calls `SECRET`.
    """
    for folder in (directory.parent, directory):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.fdopen(atomic.private(str(directory / "lock"), os.O_RDWR | os.O_APPEND | os.O_CREAT), "a+")
    if not _acquire(lock.fileno(), directory / "lock"):
        lock.close()
        raise JobBusy(f"{directory.name} is already running.", f"Watch it with: gemmalocal watch {directory.name}")
    with lock, handed_over(secret) as handed:
        spec = spec | handed
        atomic.write_text(directory / "job.json", json.dumps({"kind": kind, "spec": spec}, indent=2))
        open(directory / "inbox.jsonl", "w", opener=atomic.private).close()
        (directory / BY_PERSON).unlink(missing_ok=True)
        lock.truncate(0)  # of the one before; the child signs itself
        with open(directory / "log.txt", "ab", opener=atomic.private) as log:
            log.write(ATTEMPT + time.strftime("%Y-%m-%d %H:%M:%S\n").encode())
            log.flush()
            process = subprocess.Popen(
                [sys.executable, "-m", "gemmalocal.worker", str(directory)],
                stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[lock.fileno(), *handed.values()],
                umask=-1 if kind in SHARED or spec.get("to") else PRIVATE,
            )
    return Job(directory, process)


@contextmanager
def handed_over(secret: str) -> Iterator[dict[str, int]]:
    """What a spec says of a secret: the descriptor to read it from, closed here at the end; nothing of an empty one."""
    if not secret:
        yield {}
        return
    reading, writing = os.pipe()
    try:
        with open(writing, "wb") as file:
            file.write(secret.encode("utf-8", "replace")[: select.PIPE_BUF])  # more would wait for a reader
        yield {SECRET: reading}
    finally:
        os.close(reading)


def follow(directory: Path, kind: str, spec: dict[str, Any]) -> NoReturn:
    """Become a process that works on a job beside the one that `start` started, by a launcher's rank.

    It replaces this process, so the launcher sees its end and can end it. Ctrl-C is left to rank 0.
    """
    os.umask(PRIVATE)
    directory.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job = json.dumps({"kind": kind, "spec": spec})
    os.execv(sys.executable, [sys.executable, "-m", "gemmalocal.worker", str(directory), job])


def errand(kind: str, spec: dict[str, Any], secret: str = "") -> Job:
    """Start a short-lived job, tied to us, in a folder of its own, which is the caller's to remove.

    Where the workspace cannot be written, as on a full disk, among the system's temporary files.
    """
    try:
        paths.errands().mkdir(parents=True, exist_ok=True)
        for folder in dead_errands():
            settle_errand(folder)
        return _errand(paths.errands(), kind, spec, secret)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        return _errand(Path(tempfile.gettempdir()), kind, spec, secret)


def _errand(place: Path, kind: str, spec: dict[str, Any], secret: str) -> Job:
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=place))
    try:
        return start(folder, kind, spec, tied=True, secret=secret)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def dead_errands() -> list[Path]:
    """The folders of errands that nobody works on nor reads any more: whoever asked was killed with its child."""
    folders = []
    for folder in paths.errands().glob("[!.]*"):
        with suppress(OSError):
            quiet = time.time() - max(path.stat().st_mtime for path in (folder, *folder.glob("*.jsonl")))
            if quiet > LINGERS and (folder / "lock").exists() and not Job(folder).alive:
                folders.append(folder)
    return folders


def settle_errand(folder: Path) -> None:
    """Remove a dead errand, and what it left beside the folder that it wrote for a person."""
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        spec = json.loads((folder / "job.json").read_text(encoding="utf-8"))["spec"]
        if target := spec.get("out") or spec.get("target"):
            staging.settle(Path(target))
    staging.discard(folder)


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Have a job's directory to oneself without a job; raises `JobBusy` if somebody works on it."""
    with open(directory / "lock", "a+", opener=atomic.private) as lock:
        if not _acquire(lock.fileno(), directory / "lock"):
            raise JobBusy(f"{directory.name} is being made or changed.", "Try again once that has ended.")
        yield


def _acquire(lock: int, file: Path) -> bool:
    """Take the lock of a file by its open descriptor, unless somebody holds it; who only looks is waited for."""
    begun = time.monotonic()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            waited = time.monotonic() - begun
            if waited > LOOKS or (waited > DIES and staging.is_held(file)):
                return False
            time.sleep(0.005)


class Job:
    """One watcher's view of a job directory; any number may look on."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes] | None = None) -> None:
        self.directory = directory
        self._process = process
        self._offset = 0

    @property
    def alive(self) -> bool:
        """Whether a process holds the job's lock."""
        if self._process is not None:
            self._process.poll()  # reap, so that a dead child does not linger
        return staging.is_held(self.directory / "lock")

    @property
    def exit_code(self) -> int | None:
        """Of the process, if it is our child and has ended; negative for a signal."""
        return self._process.poll() if self._process is not None else None

    def log_tail(self) -> str:
        """The end of what the newest attempt and its libraries printed."""
        try:
            log = safe_read.tail(self.directory / "log.txt", TAIL)
        except OSError:
            return ""
        return log.rpartition(ATTEMPT)[2].decode("utf-8", "replace")

    def lines(self) -> list[str]:
        """The whole lines that were written since the last call; a torn last line waits.

        What has no line end for `LONGEST` bytes is no event, and is passed over.
        """
        lines: list[str] = []
        try:
            with safe_read.regular(self.directory / "events.jsonl") as file:
                file.seek(self._offset)
                while block := file.read(LONGEST):
                    end = block.rfind(b"\n") + 1
                    if not end and len(block) < LONGEST:
                        break
                    lines += block[:end].decode("utf-8", "replace").split("\n")[:-1]
                    self._offset = file.seek(self._offset + (end or len(block)))
        except OSError:  # there is none (any more), or none that we may look at
            pass
        return lines

    @property
    def unread(self) -> int:
        """Bytes that the next call of `lines` will read; 0 where there is no file."""
        try:
            return max(0, (self.directory / "events.jsonl").stat().st_size - self._offset)
        except OSError:
            return 0

    def newest(self, most: int) -> list[Event]:
        """The events in the last `most` bytes, be they read already or not; what is read next stays the same."""
        try:
            end = safe_read.tail(self.directory / "events.jsonl", most + 1)
        except OSError:
            return []
        lines = end.split(b"\n")[len(end) > most : -1]  # one byte more than asked for: it belongs to a line before
        return [decode(line.decode("utf-8", "replace")) for line in lines]

    def skip(self) -> None:
        """Start reading at the end of what is already there."""
        self.lines()

    def skip_to_attempt(self) -> None:
        """Start reading where the newest attempt begins."""
        self._offset, begin = 0, 0
        while lines := self.lines():
            sizes = [len(line.encode("utf-8", "replace")) + 1 for line in lines]
            starts = [place for place, line in enumerate(lines) if isinstance(decode(line), Started)]
            begin = self._offset - sum(sizes[starts[-1] :]) if starts else begin
        self._offset = begin

    def skip_to(self, other: Job) -> None:
        """Start reading where another watcher of the same directory stands."""
        self._offset = other._offset

    def poll(self) -> list[Event]:
        """The events since the last call."""
        return [decode(line) for line in self.lines()]

    def ask(self, **command: Any) -> None:
        """Leave a line in the job's inbox, such as `ask(do="stop")`."""
        with (self.directory / "inbox.jsonl").open("a", encoding="utf-8") as inbox:
            inbox.write(json.dumps(command) + "\n")

    @property
    def killed_by_person(self) -> bool:
        """Whether its newest attempt was ended by somebody's wish."""
        return (self.directory / BY_PERSON).exists()

    @property
    def asked_to_stop(self) -> bool:
        """Whether its inbox holds a wish that it end; an attempt begins with an empty one."""
        try:
            with safe_read.regular(self.directory / "inbox.jsonl") as inbox:
                return b'"stop"' in inbox.read(TAIL)
        except OSError:
            return False

    def kill(self, by_person: bool = False) -> None:
        """End the job's whole process group at once; one that has just begun is waited for until it has signed.

        That it was somebody's wish (`by_person`) is written down, as far as the disk allows.
        """
        if by_person and self.alive:
            with suppress(OSError):
                (self.directory / BY_PERSON).touch(mode=0o600)
        lock, end = self.directory / "lock", time.monotonic() + BEGINS
        while self.alive and time.monotonic() < end:
            ours = self._process.pid if self._process is not None and self._process.returncode is None else None
            if (group := holder.group(lock) or ours) is not None:
                holder.signal_group(group)
                return
            time.sleep(0.02)

    def ended(self, seconds: float) -> bool:
        """Whether nobody holds the job's lock any more, within so many seconds."""
        end = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True
