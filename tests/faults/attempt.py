"""One attempt at a job in a process of its own, as `processes.start` gives it one, with a fault in its way.

Where this system forks well, the process is a fork of ours, which has imported everything and computed nothing: an
attempt takes a third of a second, where a new interpreter takes three. So this process must never use an engine.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import signal
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from gemmalocal import worker
from gemmalocal.backends import open_backend
from gemmalocal.errors import GemmalocalError
from gemmalocal.files import atomic
from gemmalocal.jobs import processes
from gemmalocal.pipelines.shared import export_proof
from tests.faults.inject import Injection, arm
from tests.with_torch import transformers

IMPORTED = (  # before any fork, since each attempt would take seconds to do it
    *(f"gemmalocal.pipelines.{kind}" for kind in worker.kinds()),
    "gemmalocal.backends.torch.train",
    "numpy.ma",  # which NumPy brings when it is first asked what is unique
    "transformers.models.gemma3.modeling_gemma3",
)
for name in IMPORTED:
    import_module(name)
open_backend("mlx")
transformers.conversion_mapping.get_checkpoint_conversion_mapping(
    "gemma3_text"
)  # it compiles and keeps a thousand patterns
export_proof.ANSWER = 4  # tokens that an export's proof asks for: no fault is in them

LIMIT = 300.0  # seconds that an attempt may take; one that hangs is a fault of ours
gc.collect()
gc.freeze()
NOTHING = Injection("nothing")
ASKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BUSY = 2  # the exit code of an attempt that found another at work, as of `JobBusy`


class Ended(NamedTuple):
    """How an attempt ended: its exit code (negative for a signal), its seconds, and the changes that it made."""

    code: int
    seconds: float
    changes: int


class Task(NamedTuple):
    """A job to be done in a workspace: its directory, its kind and spec, and what it is asked from the start.

    A `deed` is what a front end does itself, in its own process, with no job.
    """

    home: Path
    directory: Path
    kind: str = ""
    spec: dict[str, Any] = {}
    commands: tuple[dict[str, Any], ...] = ()
    deed: Callable[[], object] | None = None


def attempt(task: Task, injection: Injection = NOTHING) -> Ended:
    """Work on a job to its end, or to the fault's."""
    process = begin(task, injection)
    if injection.way == "moment":
        time.sleep(injection.at)
        os.kill(process.pid, injection.signal)
    return process.wait()


class Process:
    """A forked attempt."""

    def __init__(self, pid: int, told: int) -> None:
        self.pid, self._told, self._start = pid, told, time.monotonic()

    def wait(self) -> Ended:
        """How it ended; raises `TimeoutError` where it does not."""
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - self._start > LIMIT:
                os.killpg(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise TimeoutError(f"it did not end within {LIMIT:.0f} s")
            time.sleep(0.002)
        with os.fdopen(self._told, "rb") as pipe:
            changes = int(pipe.read() or b"0")
        return Ended(os.waitstatus_to_exitcode(status), time.monotonic() - self._start, changes)


def begin(task: Task, injection: Injection = NOTHING) -> Process:
    """The same without waiting for its end."""
    told, tell = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, ASKED)  # none may be met by what is above us in the fork
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED)
        os.close(tell)
        return Process(pid, told)
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED)
        code = _work(task, injection, tell)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)  # nothing may return into the forked interpreter


def _work(task: Task, injection: Injection, tell: int) -> int:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["GEMMALOCAL_HOME"] = str(task.home)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    if task.deed is not None:
        return _done(task.deed, arm(injection, task.home), tell)
    directory = task.directory
    directory.mkdir(parents=True, exist_ok=True)
    lock = (directory / "lock").open("a+")
    try:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return BUSY
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    atomic.write_text(directory / "job.json", json.dumps({"kind": task.kind, "spec": task.spec}, indent=2))
    (directory / "inbox.jsonl").write_text("".join(json.dumps(command) + "\n" for command in task.commands))
    with (directory / "log.txt").open("ab", buffering=0) as log:
        log.write(processes.ATTEMPT + b"\n")
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
    counted: Callable[[], int] = arm(injection, task.home)
    try:
        return worker.run(directory)
    finally:
        os.write(tell, str(counted()).encode())


def _done(deed: Callable[[], object], counted: Callable[[], int], tell: int) -> int:
    """Do it as a command would: what may go wrong is a sentence with an exit code."""
    try:
        deed()
        return 0
    except GemmalocalError as error:
        return error.code
    except OSError:
        return 1  # said by the command's border
    finally:
        os.write(tell, str(counted()).encode())
