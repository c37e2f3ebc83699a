"""Jobs in processes of their own: waited for by what they do and not by a clock, and held at an event to be killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gemmalocal.jobs.processes import Job

HANGS = 900.0  # seconds after which one that lives is taken to hang: no measure of how fast it is
HELD = """
import fcntl, sys
from pathlib import Path
from gemmalocal import worker
from gemmalocal.jobs import holder
folder, kind, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

class HeldLog(worker.EventLog):
    left = count

    def __call__(self, event):
        super().__call__(event)
        self.left -= type(event).__name__ == kind
        if not self.left:
            print("held", flush=True)
            sys.stdin.read()

worker.EventLog = HeldLog
lock = (folder / "lock").open("a+")
fcntl.flock(lock, fcntl.LOCK_EX)
holder.sign(folder / "lock")
sys.exit(worker.run(folder))
"""


def until(seen: Callable[[], object], child: Job | subprocess.Popen[Any]) -> None:
    """Wait for what a child comes to, however busy the machine is; one that has ended comes to nothing more."""
    end = time.monotonic() + HANGS
    while not seen():
        assert works(child) or seen(), f"it has ended: {told(child)}"
        assert time.monotonic() < end, f"it hangs: {told(child)}"
        time.sleep(0.02)


def until_ended(child: Job) -> None:
    """Wait until nobody works on a job any more."""
    until(lambda: not works(child), child)


def works(child: Job | subprocess.Popen[Any]) -> bool:
    """Whether it lives."""
    return child.alive if isinstance(child, Job) else child.poll() is None


def told(child: Job | subprocess.Popen[Any]) -> str:
    """The end of a job's log; how a process ended."""
    return child.log_tail() if isinstance(child, Job) else f"exit code {child.returncode}"


def killed_at(folder: Path, kind: str, spec: dict[str, Any], event: str, count: int = 1) -> Job:
    """A job that SIGKILL ended right after its `count`-th event of a class (`Step`), in the midst of what follows."""
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"kind": kind, "spec": spec}))
    (folder / "inbox.jsonl").touch()
    command = [sys.executable, "-c", HELD, str(folder), event, str(count)]
    with (folder / "log.txt").open("ab") as log:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    with child:  # which closes its pipes and reaps it
        assert child.stdout is not None
        assert b"held\n" in iter(child.stdout.readline, b""), (folder / "log.txt").read_text()
        child.kill()
    return Job(folder, child)
