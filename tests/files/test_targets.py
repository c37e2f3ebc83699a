"""Where commands may write: nothing of a person's, and nothing that we work in, is ever replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gemmalocal.errors import DatasetError, GemmalocalError, RecipeError
from gemmalocal.files import manifest, paths, targets
from gemmalocal.workspace import datasets, exports

PROOF = json.dumps({"form": "adapter", "passed": True, "tuned": 1.0, "exported": 1.0})


def job(folder: Path, kind: str = "train") -> Path:
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"kind": kind, "spec": {}}))
    return folder


def written(folder: Path) -> Path:
    """As a command of ours leaves it."""
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("card")
    (folder / "proof.json").write_text(PROOF)
    manifest.write(folder)
    return folder


def older(folder: Path) -> Path:
    """As an older version left it."""
    written(folder)
    (folder / manifest.MANIFEST).unlink()
    return folder


def touched(folder: Path, name: str, content: str = "mine") -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    return folder


def without(folder: Path, name: str) -> Path:
    (folder / name).unlink()
    return folder


def made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def standing(folder: Path) -> Path:
    os.chdir(made(folder))
    return folder


def linked(place: Path, target: Path) -> Path:
    place.symlink_to(target, target_is_directory=True)
    return place


# What a target may be, made below a free folder; each gives the path as a person would type it.
MINE: dict[str, Callable[[Path], Path | str]] = {
    "new": lambda free: free / "new",
    "new, deep": lambda free: free / "a" / "b" / "new",
    "empty": lambda free: free,
    "empty, with a slash": lambda free: f"{free}/",
    "a file manager's litter": lambda free: touched(free, ".DS_Store"),
    "a link to what is new": lambda free: linked(free / "link", free / "new"),
    "a link to what is empty": lambda free: linked(free.parent / "link", free),
    "ours": lambda free: written(free / "ours"),
    "ours, its weights damaged": lambda free: touched(written(free / "ours"), "model.safetensors", "torn"),
    "ours, a file missing": lambda free: without(written(free / "ours"), "README.md"),
    "ours, of an older version": lambda free: older(free / "ours"),
    "in exports/ of a run": lambda free: job(free / "run") / "exports" / "adapter",
    "a half one in exports/ of a run": lambda free: touched(job(free / "run") / "exports" / "x", "model.safetensors"),
    "below a job.json of others": lambda free: touched(free, "job.json", '{"jobs": []}') / "new",
    "through ..": lambda free: f"{free}/../{free.name}/new",
}
THEIRS: dict[str, tuple[Callable[[Path], Path | str], str]] = {  # what it may not be, and what is said
    "a text of theirs": (lambda free: touched(free, "novel.txt"), "novel.txt"),
    "a hidden file of theirs": (lambda free: touched(free, ".env"), ".env"),
    "a folder of theirs": (lambda free: made(free / "deep" / "er").parent.parent, "deep/"),
    "a model of theirs": (lambda free: touched(touched(free, "config.json"), "model.safetensors"), "other files"),
    "a git repository": (lambda free: touched(free, ".git/HEAD"), "other files"),
    "a proof of somebody else": (lambda free: touched(free, "proof.json", '{"passed": true}'), "other files"),
    "ours and a text of theirs": (lambda free: touched(written(free / "ours"), "novel.txt"), "novel.txt"),
    "ours and a folder of theirs": (lambda free: touched(written(free / "ours"), "mine/a"), "mine/"),
    "ours, its card edited": (lambda free: touched(written(free / "ours"), "README.md", "mine"), "README.md .*changed"),
    "ours, its manifest damaged": (lambda free: touched(touched(free, manifest.MANIFEST, "{"), "a.txt"), "a.txt"),
    "older, and a text of theirs": (lambda free: touched(older(free / "ours"), "novel.txt"), "novel.txt"),
    "a file": (lambda free: touched(free, "novel.txt") / "novel.txt", "is not a folder"),
    "below a file": (lambda free: touched(free, "novel.txt") / "novel.txt" / "new", "is a file"),
    "a link to theirs": (lambda free: linked(free.parent / "link", touched(free, "novel.txt")), "novel.txt"),
    "links in a circle": (lambda free: linked(free / "loop", free / "loop"), "loop"),
    "theirs through ..": (lambda free: f"{touched(free, 'novel.txt') / 'x'}/..", "novel.txt"),
    "a run": (lambda free: job(free / "run"), "job.json"),
    "in a run": (lambda free: job(free / "run") / "new", "lies in run"),
    "deep in a run": (lambda free: job(free / "run") / "checkpoints" / "new", "lies in run"),
    "exports/ itself": (lambda free: job(free / "run") / "exports", "lies in run"),
    "in an export of a run": (lambda free: job(free / "run") / "exports" / "adapter" / "new", "lies in run"),
    "in an export": (lambda free: written(free / "ours") / "new", "wrote as a whole"),
    "a run through a link": (lambda free: linked(free / "link", job(free / "run")) / "new", "lies in run"),
    "the workspace": (lambda free: paths.workspace(), "the workspace"),
    "above the workspace": (lambda free: paths.workspace().parent, "the workspace"),
    "the root": (lambda free: "/", "the workspace"),
    "the runs": (lambda free: paths.runs(), "works in"),
    "among the runs": (lambda free: paths.runs() / "new", "works in"),
    "among the errands": (lambda free: paths.errands() / "new", "works in"),
    "the models": (lambda free: paths.models(), "works in"),
    "in a model": (lambda free: paths.models() / "demo" / "new", "works in"),
    "home": (lambda free: "~", "home"),
    "nothing": (lambda free: "", "not a folder's name"),
    "a blank": (lambda free: "  ", "not a folder's name"),
    "a zero byte": (lambda free: "a\0b", "not a folder's name"),
    "too long": (lambda free: free / ("x" * 300), "too long"),
    "where one stands": (lambda free: standing(free), "is the folder that you are in"),
    "above where one stands": (lambda free: standing(free / "in").parent, "is the folder that you are in"),
}


@pytest.fixture
def free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder beside the workspace, which is elsewhere than here."""
    monkeypatch.chdir("/")
    (tmp_path / "free").mkdir()
    return tmp_path / "free"


@pytest.mark.parametrize("case", MINE)
def test_what_a_target_may_be(case: str, free: Path) -> None:
    given = MINE[case](free)
    path = targets.checked_target(given, targets.replaceable)
    assert path == Path(given).resolve()
    if "ours" not in case and "half" not in case:
        assert targets.checked_target(given, targets.empty) == path


@pytest.mark.parametrize("case", THEIRS)
def test_what_a_target_may_not_be(case: str, free: Path) -> None:
    make, says = THEIRS[case]
    given = make(free)
    with pytest.raises(RecipeError, match=says) as refusal:
        targets.checked_target(given, targets.replaceable)
    assert refusal.value.code == 2
    assert refusal.value.hint


def test_a_disk_that_does_not_tell_cases_apart_hides_nothing(free: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a disk gives the same place for both spellings, which is all that the rule asks it."""
    paths.runs().mkdir(parents=True)
    plain: Callable[..., bool] = os.path.samefile
    monkeypatch.setattr(os.path, "samefile", lambda one, other: plain(str(one).lower(), str(other).lower()))
    if str(free) == str(free).lower():
        with pytest.raises(RecipeError, match="works in"):
            targets.check_place(Path(str(paths.runs()).replace("runs", "RUNS")) / "new")


@pytest.mark.parametrize("command", ["export", "convert", "adapter", "prepare"])
def test_every_command_follows_it(command: str, free: Path) -> None:
    from gemmalocal.cli import group

    run = touched(job(paths.runs() / "tune"), "adapter/adapter_config.json", "{}")
    rows = touched(free.parent, "rows.jsonl", '{"text": "a"}') / "rows.jsonl"
    for place in (touched(free, "novel.txt"), run / "new", paths.runs(), ""):
        words = {
            "export": ["export", "tune", "--to", "adapter", "--folder", str(place)],
            "convert": ["convert", str(rows), "--to", "chat", "--out", str(place)],
            "adapter": ["adapter", "tune", str(place), "--to", "mlx-lm"],
            "prepare": ["prepare", str(rows), "--to", str(place), "--author", "rules"],
        }[command]
        with pytest.raises(GemmalocalError) as refusal:
            group.main(words, standalone_mode=False)
        assert refusal.value.code == 2, place
        assert isinstance(refusal.value, RecipeError | DatasetError)
    assert (free / "novel.txt").read_text() == "mine"
    assert sorted(path.name for path in run.iterdir()) == ["adapter", "job.json"]


def test_a_datasets_own_folder_is_its_own(free: Path) -> None:
    datasets.check_target(free)
    datasets.check_target(job(free / "docs", "prepare"))
    datasets.check_target(paths.datasets() / "docs")
    for place in (paths.workspace(), paths.runs() / "x", job(free / "run") / "x", touched(free, "a.txt")):
        with pytest.raises(GemmalocalError):
            datasets.check_target(place)


def test_an_export_of_an_older_version_is_known(free: Path) -> None:
    run = job(free / "run")
    wanted = exports.spec(run, exports.ExportForm("adapter"), older(free / "ours"))
    assert exports.target(wanted, "adapter") == free / "ours"


def test_a_file_goes_anywhere_but_where_we_work(free: Path) -> None:
    assert targets.checked_file(free / "mine.yaml") == free / "mine.yaml"
    assert targets.checked_file(touched(free, "old.yaml") / "old.yaml").is_file()
    for place in (free, job(free / "run") / "job.json", paths.runs() / "x.yaml", written(free / "ours") / "README.md"):
        with pytest.raises(RecipeError):
            targets.checked_file(place)
