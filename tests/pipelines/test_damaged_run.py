"""A run whose files the disk has changed goes on from what is whole, to the same end, and says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from gemmalocal import worker
from gemmalocal.engine import checkpoints
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Failed, Started
from gemmalocal.jobs.processes import Job
from gemmalocal.recipe import recipe_file
from tests.engine.test_damaged_checkpoints import cut, flip


def work(folder: Path, recipe: Path | None = None, *items: str) -> history.JobState:
    """Work on a run to its end in this process, as its own would; what is known of it then."""
    if recipe is not None:
        folder.mkdir(parents=True)
        spec = recipe_file.load(str(recipe), items).model_dump(mode="json")
        (folder / "job.json").write_text(json.dumps({"kind": "train", "spec": spec}))
        (folder / "inbox.jsonl").write_text("")
    worker.run(folder)
    return history.read(folder)


def learned(folder: Path) -> dict[str, Any]:
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


@pytest.fixture
def whole(recipe_path: Path, workspace: Path) -> Path:
    """A run of twelve steps, with checkpoints of every third kept."""
    folder = workspace / "runs" / "whole"
    assert work(folder, recipe_path, "train.keep=9", "samples.prompts=[]").status == "done"
    return folder


def killed(whole: Path, name: str, step: int = 9) -> Path:
    """The run as it was killed after a step's checkpoint."""
    folder = whole.with_name(name)
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / "adapter")
    for checkpoint in checkpoints.existing(folder / "checkpoints"):
        if int(checkpoint.name) > step:
            shutil.rmtree(checkpoint)
    lines = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    last = next(place for place, line in enumerate(lines) if f'"step": {step + 1},' in line)
    (folder / "events.jsonl").write_text("".join(lines[:last]))
    return folder


def test_what_is_damaged_is_named_and_the_end_is_the_same(whole: Path) -> None:
    harms: dict[str, tuple[Callable[[Path], None], str, int]] = {
        "adapter_model.safetensors": (flip, "has changed on the disk", 8),
        "optimizer.safetensors": (cut, "has ", 8),
        "state.json": (Path.unlink, "is missing", 8),
    }
    for name, (harm, says, step) in harms.items():
        folder = killed(whole, name.partition(".")[0])
        harm(folder / "checkpoints" / "000009" / name)
        state = work(folder)
        begun = [event for event in Job(folder).poll() if isinstance(event, Started)]
        assert (state.status, begun[-1].step) == ("done", step)
        (told,) = [notice for notice in state.notices if "damaged" in notice]
        assert f"step 9 is damaged ({name} {says}" in told
        assert [one.step for one in state.steps] == list(range(1, 13))
        assert same(learned(folder), learned(whole))
        assert not list((folder / "checkpoints").glob("damaged-*"))


def test_examples_are_made_again_or_the_run_is_refused(whole: Path, rows: Path) -> None:
    folder = killed(whole, "again")
    flip(folder / "examples" / "ids.bin")
    state = work(folder)
    assert state.status == "done"
    assert "the run's examples are damaged: ids.bin has changed on the disk" in state.notices
    assert same(learned(folder), learned(whole))
    folder = killed(whole, "refused")
    flip(folder / "examples" / "ids.bin")
    rows.write_text(rows.read_text().replace("x1", "y1"))
    last = work(folder).last_word
    assert isinstance(last, Failed)
    assert last.code == 2
    assert "have changed since" in last.message


def test_nothing_whole_is_a_sentence(whole: Path) -> None:
    folder = killed(whole, "lost")
    for checkpoint in checkpoints.existing(folder / "checkpoints"):
        flip(checkpoint / "adapter_model.safetensors")
    last = work(folder).last_word
    assert isinstance(last, Failed)
    assert last.code == 3
    assert "The checkpoint of step 9 is damaged: adapter_model.safetensors has changed" in last.message
    assert "gemmalocal train" in last.hint


def test_what_is_gone_is_told(whole: Path) -> None:
    folder = killed(whole, "gone")
    shutil.rmtree(folder / "examples")
    state = work(folder)
    assert any("examples are gone" in notice for notice in state.notices)
    assert same(learned(folder), learned(whole))  # the rows are what they were
    folder = killed(whole, "begun")
    shutil.rmtree(folder / "checkpoints")
    state = work(folder)
    assert any("training begins again" in notice for notice in state.notices)
    assert [step.step for step in state.steps] == list(range(1, 13))
    assert same(learned(folder), learned(whole))
