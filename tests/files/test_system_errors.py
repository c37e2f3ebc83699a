"""The system's errors are sentences with an exit code, wherever they come from."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gemmalocal import cli, worker
from gemmalocal.errors import OutOfMemory, RecipeError
from gemmalocal.files import paths, system_errors
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.events import Failed
from gemmalocal.jobs.processes import Job
from tui.widgets.sources import completed


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gemmalocal", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("number", system_errors.MEANINGS)
def test_each_error_is_a_sentence(number: int) -> None:
    for error in (OSError(number, os.strerror(number), "/x/file"), OSError(number, os.strerror(number))):
        told = system_errors.explained(error)
        assert told is not None
        assert told.message[0].isupper() or told.message.startswith("/x/file")
        assert told.message.endswith(".")
        assert "{" not in told.message + told.hint
        assert "Errno" not in told.message


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError("[write] Unable to write 722 bytes to file."), "The disk is full."),
        (Exception("I/O error: No space left on device (os error 28)"), "The disk is full."),
        (ValueError("Error while serializing: Read-only file system (os error 30)"), "read-only"),
        (OSError("a library's own words"), "a library's own words"),
        (RuntimeError("Could not determine home directory."), "home folder"),
        (RuntimeError("could not determine the home directory for '~/x', set HOME"), "home folder"),
    ],
)
def test_what_libraries_pass_on_is_understood(error: Exception, says: str) -> None:
    assert says in str(system_errors.explained(error))


def test_what_is_no_error_of_the_system_stays_what_it_is() -> None:
    assert system_errors.explained(ValueError("x")) is None
    ours = RecipeError("x")
    assert system_errors.explained(ours) is ours
    assert isinstance(system_errors.explained(MemoryError()), OutOfMemory)
    wrapped = RuntimeError("could not be saved")
    wrapped.__cause__ = OSError(errno.ENOSPC, "", "/x")
    assert "The disk is full: /x" in str(system_errors.explained(wrapped))


def folder(name: str) -> Path:
    place = paths.runs() / name
    place.mkdir(parents=True)
    (place / "job.json").write_text(json.dumps({"kind": "doctor?", "spec": {}}))
    (place / "inbox.jsonl").touch()
    return place


def test_a_worker_on_a_full_disk_ends_quietly_and_its_end_is_explained() -> None:
    place = folder("full")
    (place / "events.jsonl").symlink_to("/dev/full")
    assert worker.run(place) == 1
    (place / "log.txt").write_text("Traceback ...\nOSError: [Errno 28] No space left on device\n")
    death = history.death(Job(place))
    assert (death.message, death.code) == ("The disk is full.", 1)


def test_a_line_that_was_cut_by_a_full_disk_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource
    import signal

    place = folder("limited")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handled = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150, before[1]))
        assert worker.run(place) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handled)
    content = (place / "events.jsonl").read_bytes()
    assert content == b"" or content.endswith(b"\n")


def test_a_damaged_job_fails_with_a_sentence() -> None:
    place = folder("bad")
    (place / "job.json").write_text("[]")
    assert worker.run(place) == 1
    (last,) = Job(place).poll()
    assert isinstance(last, Failed)
    assert "not a JSON object" in last.message


def test_a_workspace_that_is_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GEMMALOCAL_HOME", str(tmp_path / "file"))
    assert call(monkeypatch, "runs") == 0
    for words in (("models",), ("doctor",), ("fetch", "a/b")):
        assert call(monkeypatch, *words) == 2
        assert "is not a folder" in capsys.readouterr().err


def test_no_home(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEMMALOCAL_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 123_456_789)  # nobody whom the system knows
    for words in (("runs",), ("log", "x"), ("train", "quotes"), ("models",)):
        assert call(monkeypatch, *words) == 1
        assert "home folder" in capsys.readouterr().err


def test_a_home_that_nobody_has(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    place = "~nobody-of-this-name/x"
    assert completed(place) is None
    assert call(monkeypatch, "adapter", place, f"{place}y", "--to", "peft") in (1, 2)
    assert call(monkeypatch, "check", place) == 2
    monkeypatch.setenv("GEMMALOCAL_HOME", place)
    assert call(monkeypatch, "runs") == 1
    assert "Traceback" not in capsys.readouterr().err


def test_the_folder_that_we_stand_in_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    assert call(monkeypatch, "runs") == 0
    assert call(monkeypatch, "adapter", "x", "y", "--to", "peft") in (1, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_a_run_that_cannot_be_kept_is_not_left_alone(
    recipe_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.runs().mkdir(parents=True)
    (paths.runs() / "x").mkdir()
    (paths.runs() / "x" / "recipe.yaml").mkdir()
    (paths.runs() / "x" / "recipe.yaml" / "in the way").touch()
    assert call(monkeypatch, "train", str(recipe_path), "--name", "x") in (1, 2)
    assert "recipe.yaml" in capsys.readouterr().err
    end = time.monotonic() + 60
    while Job(paths.runs() / "x").alive:
        assert time.monotonic() < end
        time.sleep(0.05)


STREAMS = {
    "full stdout": ("{} runs --json > /dev/full", 1, "cannot be written to stdout: No space left"),
    "full both": ("{} runs > /dev/full 2> /dev/full", 1, ""),
    "closed stdout": ("{} runs >&-", 0, ""),
    "closed all": ("{} runs <&- >&- 2>&-", 0, ""),
    "closed stdin": ("{} nosuch <&-", 2, "No such command"),
    "reader has had enough": ("({} runs; echo $? >&2) | true", 0, "0"),
    "help to a full disk": ("{} --help > /dev/full", 1, "The disk is full."),
    "an encoding without these letters": ("PYTHONUTF8=0 PYTHONIOENCODING=ascii {} runs", 0, ""),
}


@pytest.mark.parametrize("case", STREAMS)
def test_streams(case: str) -> None:
    command, code, says = STREAMS[case]
    for number in range(40):
        folder(f"run-{number}")
    words = command.format(f"{sys.executable} -m gemmalocal")
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_lock_is_not_taken_for_a_closed_stream(recipe_path: Path) -> None:
    """A file that is opened gets a closed stream's number, which a child would overwrite by its own."""
    words = f"{sys.executable} -m gemmalocal train {recipe_path} --name x --detach <&- >&- 2>&-"
    assert subprocess.run(["bash", "-c", words], timeout=120).returncode == 0
    job = processes.Job(paths.runs() / "x")
    assert job.alive
    job.kill()


def test_the_app_without_a_terminal_says_so() -> None:
    words = [sys.executable, "-m", "tui"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr


@pytest.fixture
def unwritable(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in which not even root may write."""
    if not Path("/sys/kernel").is_dir():
        pytest.skip("no such place here")
    monkeypatch.setenv("GEMMALOCAL_HOME", "/sys/gemmalocal")
    return Path("/sys/gemmalocal")


def test_what_only_looks_needs_no_room_in_the_workspace(
    unwritable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    job = processes.errand("doctor?", {})
    job.kill()
    assert job.directory.parent == tmp_path


@pytest.mark.parametrize("what", ["train", "prepare", "chat"])
def test_a_workspace_that_cannot_be_written(
    what: str,
    unwritable: Path,
    recipe_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = {
        "train": ("train", str(recipe_path)),
        "prepare": ("prepare", str(recipe_path.with_name("rows.jsonl")), "--to", "x", "--author", "rules"),
        "chat": ("chat", "x"),
    }[what]
    assert call(monkeypatch, *words) == (2 if what == "chat" else 1)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert what == "chat" or "/sys/gemmalocal" in said
