"""Commands and jobs in the test's own process: for tests of no kill, no signal, and no border between processes.

The command line, the files of a job, its worker and its watcher are the real ones. What is saved is two interpreters
that import everything, each time.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from gemmalocal import cli, worker
from gemmalocal.errors import JobBusy
from gemmalocal.jobs import processes
from tests.children import HANGS


def work(directory: Path, kind: str, spec: dict[str, Any], tied: bool = False, secret: str = "") -> processes.Job:
    """As `processes.start`, but the job is over when this returns."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        (directory / "lock").open("a+") as lock,
        (directory / "log.txt").open("a") as log,
        processes.handed_over(secret) as handed,
    ):
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JobBusy(f"{directory.name} is already running.") from error
        spec = spec | {name: os.dup(descriptor) for name, descriptor in handed.items()}  # whoever reads it closes it
        (directory / "job.json").write_text(json.dumps({"kind": kind, "spec": spec}))
        (directory / "inbox.jsonl").write_text("")
        log.write(processes.ATTEMPT.decode() + "here\n")
        with redirect_stdout(log), redirect_stderr(log):
            worker.run(directory)
    return processes.Job(directory)


def run(*words: str, home: Path | None = None, given: str = "") -> subprocess.CompletedProcess[str]:
    """`gemmalocal` with these words, `given` on its stdin; the jobs that it starts are worked on as it does so."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["gemmalocal", *words])
        patch.setattr(sys, "stdin", io.StringIO(given))
        patch.setattr(processes, "start", work)
        if home is not None:
            patch.setenv("GEMMALOCAL_HOME", str(home))
        with pytest.raises(SystemExit) as ended:
            cli.main()
    code = ended.value.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def apart(*words: str) -> subprocess.CompletedProcess[str]:
    """The same in processes of its own."""
    command = [sys.executable, "-m", "gemmalocal", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANGS, check=False)
