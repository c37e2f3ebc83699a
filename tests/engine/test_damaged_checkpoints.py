"""What a disk does to checkpoints: named, left out, and the one before is taken, to the same end."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from gemmalocal.backends import peft_adapter
from gemmalocal.engine import checkpoints, loop
from gemmalocal.engine.checkpoints import TrainState
from gemmalocal.errors import ModelError
from gemmalocal.jobs.events import Event, Rollback
from tests.engine.test_divergence import attempt, only
from tests.engine.toy import Toy, work


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


HARM: dict[str, tuple[Callable[[Path], None], str]] = {
    "flipped": (flip, "has changed on the disk"),
    "cut": (cut, "bytes instead of"),
    "emptied": (empty, "is empty"),
    "missing": (Path.unlink, "is missing"),
}


def trained(folder: Path, steps: int = 12) -> Toy:
    toy = Toy()
    for _ in attempt(work(folder, steps), toy):
        pass
    return toy


@pytest.mark.parametrize("name", [peft_adapter.WEIGHTS, peft_adapter.CONFIG])
@pytest.mark.parametrize("harm", HARM)
def test_the_one_before_is_taken_and_ends_the_same(tmp_path: Path, name: str, harm: str) -> None:
    whole = trained(tmp_path / "whole")
    list(attempt(work(tmp_path / "run", 12), Toy(), stop_at=11))
    assert checkpoints.existing(tmp_path / "run")[-1].name == "000011"
    do, says = HARM[harm]
    do(tmp_path / "run" / "000011" / name)
    step, (told,) = checkpoints.settle(tmp_path / "run")
    assert step == 8
    assert f"step 11 is damaged ({name} " in told
    assert says in told
    assert "from step 8" in told
    again = Toy()
    assert len([event for event in attempt(work(tmp_path / "run", 12), again)]) > 4
    assert (again.weight, again.momentum, again.draws) == (whole.weight, whole.momentum, whole.draws)
    assert not list((tmp_path / "run").glob("damaged-*"))  # training has come so far again


@pytest.mark.parametrize("harm", ["no json", "a list", "cut", "missing", "no seal", "another"])
def test_a_damaged_state_is_seen(tmp_path: Path, harm: str) -> None:
    trained(tmp_path)
    state = tmp_path / "000012" / checkpoints.STATE
    text = state.read_text()
    match harm:
        case "missing":
            state.unlink()
        case "no seal":
            state.write_text(text.replace('"sealed"', '"sealee"'))
        case "another":
            state.write_text(text.replace('"step": 12', '"step": 13'))
        case _:
            state.write_text({"no json": "{", "a list": "[]", "cut": text[:-9]}[harm])
    assert "state.json" in checkpoints.damage(tmp_path / "000012")
    assert checkpoints.settle(tmp_path)[0] == 8
    assert checkpoints.restore(tmp_path, Toy()).step == 8


def test_none_that_is_whole_is_a_sentence_with_a_remedy(tmp_path: Path) -> None:
    trained(tmp_path)
    kept = checkpoints.existing(tmp_path)
    for path in kept:
        flip(path / peft_adapter.WEIGHTS)
    assert checkpoints.settle(tmp_path) == (0, [])
    with pytest.raises(ModelError, match=r"step 12 is damaged: adapter_model.safetensors has changed") as caught:
        loop.resume(work(tmp_path, 12), Toy())
    assert "gemmalocal train" in caught.value.hint
    assert checkpoints.existing(tmp_path) == kept


def test_a_damaged_one_among_others_is_named_with_the_whole_ones(tmp_path: Path) -> None:
    trained(tmp_path)
    flip(tmp_path / "000012" / peft_adapter.WEIGHTS)
    with pytest.raises(ModelError) as caught:
        checkpoints.checked(tmp_path / "000012")
    assert "Whole are those of steps 8" in caught.value.hint


def test_a_roll_back_passes_a_damaged_one_and_half_a_one_by(tmp_path: Path) -> None:
    events = list[Event]()
    toy = Toy(plant=lambda loss, draws: math.inf if draws >= 10 and not only(Rollback, events) else loss)
    for event in attempt(work(tmp_path, 12, save_every=2, evaluate_every=6, keep=9), toy):
        events.append(event)
        if toy.draws == 11:
            flip(tmp_path / "000008" / peft_adapter.WEIGHTS)
            shutil.copytree(tmp_path / "000006", tmp_path / "000007", dirs_exist_ok=True)
            (tmp_path / "000007" / checkpoints.STATE).unlink(missing_ok=True)
    (back,) = only(Rollback, events)
    assert back.to == 6
    assert "step 8 is damaged (adapter_model.safetensors has changed" in back.why
    assert checkpoints.standing(checkpoints.existing(tmp_path)[-1]).factor == 0.5
    assert not checkpoints.damage(checkpoints.existing(tmp_path)[-1])


def test_a_damaged_best_one_is_told_and_the_newest_is_the_result(tmp_path: Path) -> None:
    for step, best in ((4, 4), (8, 4), (12, 4)):
        checkpoints.publish(tmp_path, Toy(), TrainState(step, best_step=best), keep=1)
    assert checkpoints.chosen(tmp_path) == (tmp_path / "000004", "")
    cut(tmp_path / "000004" / peft_adapter.WEIGHTS)
    path, told = checkpoints.chosen(tmp_path)
    assert path.name == "000012"
    assert "best checkpoint, of step 4, is damaged" in told


def test_those_of_before_the_hashes_still_open(tmp_path: Path) -> None:
    checkpoints.publish(tmp_path, Toy(), TrainState(3), keep=2)
    path = tmp_path / "000003"
    (path / checkpoints.STATE).write_text(json.dumps(asdict(TrainState(3, factor=0.5))))
    save_file({"a": np.ones(9, np.float32)}, path / peft_adapter.WEIGHTS)
    assert checkpoints.damage(path) == ""
    assert checkpoints.standing(path).factor == 0.5
    checkpoints.go_back(tmp_path, TrainState(6, bad=3), 0.25)
    assert checkpoints.standing(path).factor == 0.25
    cut(path / peft_adapter.WEIGHTS)
    assert checkpoints.damage(path) == "adapter_model.safetensors is damaged"
    (path / peft_adapter.WEIGHTS).unlink()
    assert checkpoints.damage(path) == "adapter_model.safetensors is missing"


def test_steps_past_a_million_are_in_order(tmp_path: Path) -> None:
    for step in (999_999, 1_000_000, 1_000_001):
        checkpoints.publish(tmp_path, Toy(), TrainState(step), keep=2)
    assert [int(path.name) for path in checkpoints.existing(tmp_path)] == [1_000_000, 1_000_001]
    assert checkpoints.settle(tmp_path)[0] == 1_000_001
    checkpoints.go_back(tmp_path, TrainState(1_000_004, bad=3), 0.5)
    assert [int(path.name) for path in checkpoints.existing(tmp_path)] == [1_000_000]
