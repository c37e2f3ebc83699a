"""A kill at any point of writing, replacing or removing: the old or the new, and no litter after the next start."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gemmalocal import worker
from gemmalocal.cli import doctor
from gemmalocal.errors import RecipeError
from gemmalocal.files import atomic, staging

OLD, NEW = {"a.txt": "old", "b.bin": "of old"}, {"a.txt": "new", "c.bin": "of new", "d.bin": "too"}
CHANGES = ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "open", "shutil.rmtree")


def fill(folder: Path, content: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in content.items():
        (folder / name).write_text(text)
    return folder


def content(folder: Path) -> dict[str, str] | None:
    return {path.name: path.read_text() for path in folder.iterdir()} if folder.is_dir() else None


def killed_at(number: int, work: Callable[[], None]) -> bool:
    """Whether `work`, in a child, came to its n-th change of the disk, at which it gets a kill -9."""
    child = os.fork()
    if not child:
        left = number

        def hook(event: str, args: tuple[object, ...]) -> None:
            nonlocal left
            left -= event in CHANGES
            if not left:
                left = -1  # a kill is an event too
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            work()
        finally:
            os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # it stays a zombie for a while, as of an app that goes on
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def replace(path: Path, new: dict[str, str] = NEW) -> None:
    with atomic.new_folder(path) as folder:
        fill(folder, new)


@pytest.mark.parametrize("older", [OLD, None], ids=["replacing", "the first"])
@pytest.mark.parametrize("swaps", [True, False], ids=["in one step", "in two"])
def test_a_kill_leaves_the_old_or_the_new(
    older: dict[str, str] | None, swaps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not swaps:  # as on a network's disk
        monkeypatch.setattr(atomic, "exchange", lambda one, other: False)
    seen = list[dict[str, str] | None]()
    for number in range(1, 100):
        path = tmp_path / str(number) / "export"
        path.parent.mkdir()
        if older:
            fill(path, older)
        died = killed_at(number, lambda path=path: replace(path))  # type: ignore[misc]
        allowed = (older, NEW) if swaps else (older, NEW, None)  # in one step, a reader always meets one
        assert content(path) in allowed, f"half a folder at its final name, killed at {number}"
        staging.sweep(path.parent)
        seen.append(content(path))
        assert seen[-1] in (older, NEW)
        assert [one.name for one in path.parent.iterdir()] == ([path.name] if seen[-1] else [])
        if not died:
            break
    assert len(seen) > 8, "there were points to die at"
    assert seen[0] == older
    assert seen[-1] == NEW


def test_a_kill_while_removing_leaves_it_whole_or_gone(tmp_path: Path) -> None:
    for number in range(1, 100):
        path = fill(tmp_path / "checkpoint", OLD)
        died = killed_at(number, lambda path=path: atomic.remove(path))  # type: ignore[misc]
        assert content(path) in (OLD, None)
        staging.sweep(tmp_path)
        assert content(path) in (OLD, None)
        assert [one.name for one in tmp_path.iterdir()] == ([path.name] if path.exists() else [])
        if not died:
            break
    assert 2 < number < 99


def test_a_kill_while_a_text_is_written_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    for number in range(1, 100):
        (tmp_path / "a.json").write_text("old")
        died = killed_at(number, lambda: atomic.write_text(tmp_path / "a.json", "new"))
        staging.sweep(tmp_path)
        assert content(tmp_path) in ({"a.json": "old"}, {"a.json": "new"})
        if not died:
            break
    assert content(tmp_path) == {"a.json": "new"}


def test_the_next_writer_settles_what_the_last_left(tmp_path: Path) -> None:
    path, gone = tmp_path / "export", 2**22 + 1  # no system gives such a number
    fill(tmp_path / f".export.{gone}.old", OLD)
    fill(tmp_path / f".export.{gone}.tmp", {"a.txt": "ne"})
    fill(tmp_path / f".other.{gone}.tmp", {"a.txt": "x"})
    with atomic.new_folder(path) as folder:
        assert content(path) == OLD, "put back at once"
        fill(folder, NEW)
    assert content(path) == NEW
    assert sorted(one.name for one in tmp_path.iterdir()) == [f".other.{gone}.tmp", "export"]


def test_what_is_worked_on_is_left_alone(tmp_path: Path) -> None:
    with atomic.new_folder(tmp_path / "export") as folder:
        fill(folder, NEW)
        staging.sweep(tmp_path)
        assert content(folder) == NEW, "by its own process, which holds it"
        (tmp_path / f".text.{os.getpid()}.tmp").write_text("half")  # in another thread
        staging.sweep(tmp_path)
        (tmp_path / f".text.{os.getpid()}.tmp").unlink()
    fill(tmp_path / f".a.{os.getppid()}.tmp", OLD)
    gone = fill(tmp_path / f".b.{2**22 + 1}.tmp", OLD)
    with staging.held(gone):  # by a process of another container
        staging.sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    staging.sweep(tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {f".a.{os.getppid()}.tmp", "export"}


@pytest.mark.parametrize("name", [".env", ".a.tmp", ".x.12.old.txt", "x.12.tmp", ".git", ".12.tmp", ".x.-1.tmp"])
def test_nothing_of_others_is_swept(name: str, tmp_path: Path) -> None:
    fill(tmp_path / name, OLD)
    staging.sweep(tmp_path)
    assert content(tmp_path / name) == OLD


def test_links_are_never_followed(tmp_path: Path) -> None:
    mine = fill(tmp_path / "mine", OLD)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / f".x.{2**22 + 1}.tmp").symlink_to(mine)
    (tmp_path / "home" / "away").symlink_to(mine)
    fill(mine / f".y.{2**22 + 1}.tmp", OLD)
    (tmp_path / "home" / "export").symlink_to(mine)
    staging.sweep(tmp_path / "home")
    replace(tmp_path / "home" / "export")
    assert sorted(one.name for one in (tmp_path / "home").iterdir()) == ["away", "export"]
    assert len(list(mine.iterdir())) == 3


def test_a_check_that_refuses_keeps_what_came_meanwhile(tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        raise RecipeError("mine")

    def write() -> None:
        with atomic.new_folder(tmp_path / "export", refuse) as folder:
            fill(folder, NEW)
            fill(tmp_path / "export", OLD)

    with pytest.raises(RecipeError):
        write()
    assert content(tmp_path / "export") == OLD
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_left_is_found_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    fill(tmp_path / "deep" / f".x.{2**22 + 1}.tmp", OLD)
    (found,) = staging.below(tmp_path)
    assert (found.name, found.bytes, found.abandoned) == ("x", 9, True)


def test_doctor_names_what_is_left_and_cleans(workspace: Path) -> None:
    gone = 2**22 + 1
    left = workspace / "runs" / "a" / "exports" / f".merged-float32.{gone}.tmp"
    left.mkdir(parents=True)
    fill(left, OLD)
    fill(left.parent / f".adapter.{gone}.old", OLD)
    errand = workspace / "errands" / "check-x"
    errand.mkdir(parents=True)
    (errand / "lock").touch()
    out = fill(workspace.parent / "out", NEW)
    fill(out.parent / f".out.{gone}.tmp", OLD)
    (errand / "job.json").write_text(json.dumps({"kind": "convert", "spec": {"out": str(out)}}))
    assert len(doctor.left()) == 2, "an errand that just ended may still be read"
    os.utime(errand, (1, 1))
    found = {one["path"]: one["bytes"] for one in doctor.left()}
    assert found[f"runs/a/exports/.merged-float32.{gone}.tmp"] == 9
    assert len(found) == 3
    doctor.remove_left()
    assert doctor.left() == []
    assert content(left.parent / "adapter") == OLD
    assert not errand.exists()
    assert sorted(path.name for path in out.parent.iterdir() if "out" in path.name) == ["out"]


def test_a_job_sweeps_its_folder_when_it_starts(tmp_path: Path) -> None:
    gone = 2**22 + 1
    run = fill(tmp_path / "run", {"job.json": json.dumps({"kind": "nothing", "spec": {}}), "inbox.jsonl": ""})
    for name in ("checkpoints", "examples"):
        (run / name).mkdir()
    fill(run / "checkpoints" / f".000010.{gone}.tmp", OLD)
    fill(run / "checkpoints" / f".000005.{gone}.gone", OLD)
    fill(run / f".adapter.{gone}.old", OLD)
    assert worker.run(run) == 1
    assert list((run / "checkpoints").iterdir()) == []
    assert content(run / "adapter") == OLD
