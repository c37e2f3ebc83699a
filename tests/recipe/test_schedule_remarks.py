"""What of a schedule acts otherwise than it reads is said, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from gemmalocal.recipe.schedule_remarks import schedule_remarks
from gemmalocal.recipe.schema import TrainSpec


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
