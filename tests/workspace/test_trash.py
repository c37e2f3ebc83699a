"""What is deleted stays for 30 days and comes back, from any disk and under any name; what a person says of a run."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from gemmalocal.cli import group
from gemmalocal.errors import GemmalocalError, JobBusy, RecipeError, UnknownRun
from gemmalocal.files import atomic, paths
from gemmalocal.jobs import history
from gemmalocal.workspace import datasets, labels, runs, settings, trash
from gemmalocal.workspace.labels import Labels
from tests.tui.recorded import RUNS, hold, prepared, preparing, record


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_run_and_a_dataset_come_back_as_they_were() -> None:
    for folder in (record("quotes", RUNS["finished"]), prepared("docs")):
        before = content(folder)
        entry = runs.delete(folder)
        assert not folder.exists()
        assert entry.name == folder.name
        assert entry.days_left in (trash.KEPT - 1, trash.KEPT)
        assert content(entry.place) == before
        assert trash.find(folder.name) == entry
        assert trash.restore(entry) == folder
        assert content(folder) == before
    assert trash.entries() == []
    assert datasets.find("docs")


def test_names_that_collide_all_come_back() -> None:
    entries = []
    for step in range(3):
        folder = record("quotes", RUNS["finished"])
        (folder / "log.txt").write_text(str(step))
        entries.append(runs.delete(folder))
    assert len({entry.place for entry in entries}) == 3
    assert len(trash.entries()) == 3
    backs = [trash.restore(entry) for entry in entries]
    assert [back.name for back in backs] == ["quotes", "quotes-2", "quotes-3"]
    assert [(back / "log.txt").read_text() for back in backs] == ["0", "1", "2"]
    with pytest.raises(GemmalocalError, match="not in the trash any more"):
        trash.restore(entries[0])
    with pytest.raises(UnknownRun, match="no 'quotes' in the trash"):
        trash.find("quotes")


@pytest.mark.parametrize("where", ["my papers", "[b]odd[/b] @ 7%"])
def test_what_lies_outside_the_workspace_stays_on_its_disk(where: str, tmp_path: Path) -> None:
    folder = preparing(tmp_path / where / "hand@book")
    entry = trash.put(folder / ".." / folder.name)
    assert not folder.exists()
    assert entry.place.parent == folder.parent
    assert entry.kind == "folder"
    assert trash.restore(trash.find("hand@book")) == folder
    assert (folder / "job.json").is_file()
    assert list((paths.trash() / trash.ELSEWHERE).iterdir()) == []


def test_a_run_on_another_disk_is_hidden_there(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, rename = record("quotes", RUNS["finished"]), Path.rename

    def across(source: Path, target: Path) -> Path:
        if paths.trash() in target.parents:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", across)
    entry = runs.delete(folder)
    assert history.list_runs() == []
    assert entry.kind == "run"
    assert trash.find("quotes") == entry
    trash.remove(entry)
    assert not entry.place.exists()
    assert trash.entries() == []


def test_a_kill_between_link_and_rename_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = preparing(tmp_path / "handbook")

    def killed(source: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            trash.put(folder)
    assert (folder / "job.json").is_file()
    assert trash.entries() == []


def test_thirty_days_later_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    old, now = runs.delete(record("old", RUNS["finished"])), time.time()
    monkeypatch.setattr(time, "time", lambda: now + (trash.KEPT - 1) * trash.DAY)
    young = runs.delete(record("young", RUNS["finished"]))
    assert [(entry.name, entry.days_left > 5) for entry in trash.entries()] == [("young", True), ("old", False)]
    assert old.place.exists()
    monkeypatch.setattr(time, "time", lambda: now + trash.KEPT * trash.DAY + 2)
    trash.tidy()
    assert not old.place.exists()
    assert trash.entries() == [young]


def test_what_works_is_not_deleted_nor_renamed() -> None:
    folder = record("alive", RUNS["live"])
    child = hold(folder)
    for deed in (lambda: runs.delete(folder), lambda: runs.rename(folder, "other")):
        with pytest.raises(JobBusy, match="is running"):
            deed()
    child.communicate("\n")
    assert folder.exists()


def test_a_folder_of_others_in_the_trash_is_left_alone() -> None:
    (paths.trash() / "runs" / "notes").mkdir(parents=True)
    (paths.trash() / "elsewhere").mkdir()
    (paths.trash() / "elsewhere" / "home@5").symlink_to(Path.home())
    trash.tidy()
    assert trash.entries() == []
    assert Path.home().exists()
    assert (paths.trash() / "runs" / "notes").exists()


def test_the_command_lists_restores_and_empties() -> None:
    def told(*words: str, typed: str = "") -> str:
        done = CliRunner().invoke(group, ["trash", *words], input=typed, catch_exceptions=False)
        return done.output

    assert "The trash is empty." in told("list")
    for name in ("first", "second"):
        runs.delete(record(name, RUNS["finished"]))
    listed = told("list")
    assert "first" in listed
    assert "30 days left" in listed or "29 days left" in listed
    about = [json.loads(line) for line in told("list", "--json").splitlines()]
    assert {each["kind"] for each in about} == {"run"}
    assert told("restore", "first").strip() == str(paths.runs() / "first")
    assert "Remove second" in told("empty", "second", typed="n\n")
    assert len(trash.entries()) == 1
    told("empty", "--yes")
    assert trash.entries() == []
    assert [folder.name for folder in history.list_runs()] == ["first"]


def test_tags_and_a_note_are_kept_with_the_run_through_a_new_name() -> None:
    folder = record("quotes", RUNS["finished"])
    assert labels.read(folder) == Labels()
    said = Labels(labels.tags_of("best, #try  best\nlow-rank"), "a note\nof two lines")
    assert said.tags == ("best", "try", "low-rank")
    labels.write(folder, said)
    renamed = runs.rename(folder, "quotes-best")
    assert labels.read(renamed) == said
    (renamed / labels.FILE).write_text('{"tags": [1, "x"], "note": []}')
    assert labels.read(renamed) == Labels(("x",))
    record("other", RUNS["finished"])
    for wrong in ("other", "../out", "", "a/b", "x" * 300):
        with pytest.raises(RecipeError):
            runs.rename(renamed, wrong)
    with pytest.raises(RecipeError, match="at most 16 tags"):
        labels.tags_of(" ".join(map(str, range(17))))


def test_settings_stay_whole_and_keep_what_others_wrote(workspace: Path) -> None:
    assert settings.text("theme", "dark") == "dark"
    settings.write("theme", "light")
    atomic.write_text(settings.file(), json.dumps({**settings.read(), "of a later version": [1]}))
    settings.write("theme", "plain")
    assert settings.read() == {"theme": "plain", "of a later version": [1]}
    settings.file().write_text("{")
    assert settings.text("theme", "dark") == "dark"
