"""What of a schedule acts otherwise than it reads is said, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gemmalocal.jobs.events import Notice, Report, Step
from gemmalocal.pipelines import check, train
from gemmalocal.planning.device_memory import ram
from gemmalocal.planning.preview import Outlook
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schedule_remarks import schedule_remarks
from gemmalocal.recipe.schema import TrainSpec
from tui.screens.recipe import plan


@pytest.mark.parametrize(
    ("fields", "rows", "held_out", "said"),
    [
        ({"steps": 10, "warmup": 11}, None, None, "the warm-up takes 11 steps, and the run has 10"),
        ({"epochs": 1, "batch_size": 4, "warmup": 6}, 20, 2, "the warm-up takes 6 steps, and the run has 5"),
        ({"steps": 10, "batch_size": 64}, 3, 1, "a step takes 64 rows, and there are 3: it sees each 21.3 times"),
        ({"steps": 10, "early_stop": 2}, 100, 0, "early_stop has no effect: no rows are held out"),
    ],
)
def test_what_acts_otherwise_is_said(fields: dict[str, Any], rows: int | None, held_out: int | None, said: str) -> None:
    (remark,) = schedule_remarks(TrainSpec(**fields), rows, held_out)
    assert said in remark


@pytest.mark.parametrize(
    ("fields", "rows", "held_out"),
    [
        ({"steps": 10, "warmup": 10, "early_stop": 1}, 100, 1),
        ({"steps": 10, "warmup": 0.9, "batch_size": 64}, 64, 0),
        ({"epochs": 1, "batch_size": 64}, 3, 0),  # a step of three rows
        ({"epochs": 1, "warmup": 50}, None, None),  # how many steps is not known yet
    ],
)
def test_what_acts_as_it_reads_is_not(fields: dict[str, Any], rows: int | None, held_out: int | None) -> None:
    assert schedule_remarks(TrainSpec(**fields), rows, held_out) == []


def test_epochs_are_passes() -> None:
    train = TrainSpec(epochs=1, batch_size=64)
    assert (train.steps_over(3), train.rows_over(3)) == (1, 3)
    assert (train.steps_over(130), train.rows_over(130)) == (3, 130)
    assert TrainSpec(epochs=0.5, batch_size=4).rows_over(33) == 16
    assert TrainSpec(steps=7).rows_over(33) is None


def test_check_form_and_run_say_it(recipe_path: Path, tmp_path: Path) -> None:
    overrides = ["train.steps=1", "train.batch_size=64", "train.warmup=2", "train.early_stop=1", "data.split=0"]
    recipe = recipe_file.load(str(recipe_path), [*overrides, "samples.prompts=[]"])
    remarks = schedule_remarks(recipe.train, 40, 0)
    assert [remark.partition(" takes")[0].partition(" has")[0] for remark in remarks] == [
        "the warm-up",
        "a step",
        "early_stop",
    ]
    spec = recipe.model_dump(mode="json")
    (report,) = [event.data for event in check.run(spec, tmp_path / "check", list) if isinstance(event, Report)]
    assert report["notes"][-3:] == remarks
    assert "The warm-up takes 2 steps, and the run has 1" in str(plan(recipe, Outlook(None, ram())))
    notices = [event.text for event in train.run(spec, tmp_path / "train", list) if isinstance(event, Notice)]
    assert set(remarks) <= set(notices)


def test_one_epoch_learns_each_row_once(recipe_path: Path, tmp_path: Path) -> None:
    overrides = ["train.steps=", "train.epochs=1", "train.batch_size=64", "data.split=0", "samples.prompts=[]"]
    once = recipe_file.load(str(recipe_path), overrides).model_dump(mode="json")
    (step,) = [event for event in train.run(once, tmp_path, list) if isinstance(event, Step)]
    (report,) = [event.data for event in check.run(once, tmp_path / "check", list) if isinstance(event, Report)]
    assert (step.steps, step.tokens) == (report["steps"], report["train"]["supervised_tokens"])
