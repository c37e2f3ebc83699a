"""Who holds a job's lock is asked, not assumed: a number that was given again is never signalled."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from gemmalocal.cli import group
from gemmalocal.errors import GemmalocalError
from gemmalocal.files import staging
from gemmalocal.jobs import holder, processes

HOLD = """
import fcntl, os, sys, time
from pathlib import Path
lock = open(sys.argv[1], "a+")
fcntl.flock(lock, fcntl.LOCK_EX)
if "sign" in sys.argv:
    from gemmalocal.jobs import holder
    holder.sign(Path(sys.argv[1]))
if "child" in sys.argv:  # one that inherits the lock, and outlives its parent
    if os.fork():
        print("held", flush=True)
        os._exit(0)
if "away" in sys.argv:
    os.setsid()
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def held(folder: Path, *how: str) -> Iterator[subprocess.Popen[str]]:
    """A job directory whose lock a process holds."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text('{"kind": "train", "spec": {}}')
    (folder / "events.jsonl").write_text('{"event": "started", "kind": "train", "pid": 1, "attempt": 1}\n')
    words = [sys.executable, "-c", HOLD, str(folder / "lock"), *how]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process
    finally:
        for pid in [*holder.holders(folder / "lock"), process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()


def stopped(name: str) -> tuple[int, str]:
    """What `stop --force` came to: its exit code, and what it said."""
    done = CliRunner().invoke(group, ["stop", name, "--force"], standalone_mode=False)
    if isinstance(done.exception, GemmalocalError):
        return done.exception.code, done.exception.message
    assert done.exception is None, done.exception
    return done.exit_code, done.stderr


def test_who_has_signed_is_ended_and_it_is_said(workspace: Path) -> None:
    with held(workspace / "runs" / "a", "sign") as process:
        code, said = stopped("a")
        assert (code, said) == (0, "a was killed; it had saved no checkpoint.\n")
        assert process.wait(10) == -signal.SIGKILL
    assert stopped("a") == (1, "a is not running.")


def test_a_child_that_outlived_it_is_ended_too(workspace: Path) -> None:
    with held(workspace / "runs" / "a", "sign", "child") as process:
        process.wait(10)
        assert processes.Job(workspace / "runs" / "a").alive
        assert stopped("a")[0] == 0
        assert not processes.Job(workspace / "runs" / "a").alive


def test_a_lock_of_before_is_understood(workspace: Path) -> None:
    with held(workspace / "runs" / "a") as process:
        (workspace / "runs" / "a" / "lock").write_text(str(process.pid))
        assert stopped("a")[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        lambda pid: f"{pid} 123",  # the number of another one now
        lambda pid: "0",
        lambda pid: "1",
        lambda pid: "-1",
        lambda pid: "9" * 400,
        lambda pid: "no number",
        lambda pid: f"{os.getpid()} {holder.began(os.getpid())}",  # leads no group
        lambda pid: "",
    ],
)
def test_a_stale_number_is_never_signalled(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, text: Callable[[int], str]
) -> None:
    monkeypatch.setattr(processes, "BEGINS", 0.1)
    monkeypatch.setattr("gemmalocal.cli.runs.DEATH", 0.1)
    monkeypatch.setattr(os, "getpgid", lambda pid, asked=os.getpgid: -5 if pid == os.getpid() else asked(pid))
    with held(workspace / "runs" / "a") as process:
        (workspace / "runs" / "a" / "lock").write_text(text(process.pid))
        code, said = stopped("a")
        assert code == 1
        assert said == f"a could not be killed: it still runs (process {process.pid})."
        assert process.poll() is None


@contextmanager
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process of nobody's that leads a group, and that answers as long as it lives."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


def answers(process: subprocess.Popen[bytes]) -> bool:
    """Whether it lives: one that was signalled a moment ago may not have ended yet, but answers no more."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"there?\n")
    process.stdin.flush()
    return process.stdout.readline() == b"there?\n"


@contextmanager
def stranger_with(pid: int) -> Iterator[subprocess.Popen[bytes]]:
    """One that the system gave a number again; skips where it cannot be had."""
    for _ in range(50):  # others start processes too
        try:
            Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        except OSError:
            pytest.skip("the system does not let us choose a process's number")
        with stranger() as process:
            if process.pid == pid:
                yield process
                return
    pytest.skip("somebody else was given the number")


@pytest.mark.parametrize("signed", ["with its start", "as older versions did"])
def test_a_number_that_was_given_again_is_never_signalled(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, signed: str
) -> None:
    """The lock of a job that was killed, taken by somebody who does not sign, as a run that is being deleted is."""
    monkeypatch.setattr(processes, "BEGINS", 0.1)
    job = processes.Job(workspace / "runs" / "a")
    with held(job.directory, "sign") as process:
        process.kill()
        process.wait()
        assert not job.alive
        if signed != "with its start":
            (job.directory / "lock").write_text(str(process.pid))
        with stranger_with(process.pid) as other:
            job.kill()
            with processes.held(job.directory):
                assert job.alive
                job.kill()
            assert answers(other)


def test_a_group_that_began_before_the_lock_was_written_is_never_signalled(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock of an older version holds a number alone; a copy of it, as from a backup, is newer than who has it."""
    monkeypatch.setattr(processes, "BEGINS", 0.1)
    job = processes.Job(workspace / "runs" / "a")
    with stranger() as other, held(job.directory):
        (job.directory / "lock").write_text(str(other.pid))
        job.kill()
        assert answers(other)


def test_one_that_has_just_begun_is_waited_for(workspace: Path) -> None:
    job = processes.start(workspace / "errands" / "a", "doctor", {})
    processes.Job(job.directory).kill()  # as another watcher, that has no child
    assert job.ended(10)


def test_one_that_looks_is_no_holder(workspace: Path) -> None:
    """Two watchers at once saw each other's look at a dead job's lock, and took it for alive."""
    folder = workspace / "runs" / "dead"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # what a look holds, for as long as it takes
        assert not processes.Job(folder).alive
        assert not staging.is_held(folder / "lock")
    with held(workspace / "runs" / "living"):
        living = processes.Job(workspace / "runs" / "living")
        assert living.alive
        assert living.alive


def test_any_number_may_look_and_a_job_begins_all_the_same(workspace: Path) -> None:
    folder = workspace / "runs" / "dead"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    with ThreadPoolExecutor(8) as watchers:
        looks = list(watchers.map(lambda _: processes.Job(folder).alive, range(4_000)))
        assert not any(looks)
    with (folder / "lock").open() as look, ThreadPoolExecutor(1) as starter:
        fcntl.flock(look, fcntl.LOCK_SH)  # of a watcher that the system has set aside
        begun = starter.submit(lambda: processes.held(folder).__enter__())
        assert not wait([begun], 4 * processes.DIES).done
        fcntl.flock(look, fcntl.LOCK_UN)
        begun.result(10)


def test_a_lock_that_is_no_file_keeps_nobody_waiting(workspace: Path) -> None:
    folder = workspace / "runs" / "odd"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "lock")
    assert not processes.Job(folder).alive
    assert holder.group(folder / "lock") is None
    assert not processes.Job(workspace / "runs" / "a\0b").alive  # a name that no file can have
