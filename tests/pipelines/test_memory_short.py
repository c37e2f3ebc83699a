"""A run that is out of memory goes on in half the micro-batches, once; else the error names what is smaller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.backends.protocol import Objective, TokenIds
from gemmalocal.data.batches import BatchShape, MicroBatch
from gemmalocal.engine import checkpoints
from gemmalocal.engine.checkpoints import TrainState
from gemmalocal.engine.pause import PauseControl
from gemmalocal.errors import OutOfMemory
from gemmalocal.jobs.events import Event, Finished, Notice, Report, Step
from gemmalocal.pipelines.shared.budget import Budget
from gemmalocal.pipelines.train import steps_within
from gemmalocal.planning import device_memory
from gemmalocal.planning.memory import Estimate
from gemmalocal.planning.pressure import Level, Strain
from tests.engine.toy import Toy, work


@dataclass
class Cramped(Toy):
    """Holds so many tokens at once, from its sixth micro-batch on."""

    room: int = 3

    def accumulate(
        self,
        parts: Sequence[MicroBatch],
        objective: Objective | None = None,
        choices: Sequence[TokenIds] | None = None,
    ) -> None:
        if self.draws >= 5 and any(part.tokens > self.room for part in parts):
            raise OutOfMemory("The work did not fit into memory.", "Close other programs.")
        super().accumulate(parts)


def events(made: Toy, folder: Path, **fields: Any) -> list[Event]:
    made.shapes = BatchShape(1, 100, 6)  # two rows of three tokens at once
    given: Any = None
    plan, room = {"engine": "toy", "limit": 6}, device_memory.ram(0)
    decided = Budget(given, made.shapes, Estimate(0, 0, 0, 0, 0), plan, room, 1000)
    brake = PauseControl(lambda: False, lambda: Strain(Level.NORMAL, "", ""))
    return list(steps_within(decided, work(folder, 12, **fields), made, TrainState(), brake, lambda step: iter(())))


def test_it_goes_on_with_half(tmp_path: Path) -> None:
    made = Cramped()
    told = events(made, tmp_path)
    assert [event.text for event in told if isinstance(event, Notice)] == [
        "The work did not fit into memory. Once more, with at most 3 tokens at once"
    ]
    assert [event.data for event in told if isinstance(event, Report)] == [{"plan": {"engine": "toy", "limit": 3}}]
    steps = [event.step for event in told if isinstance(event, Step)]
    assert steps == [1, 2, 3, 4, 5, *range(5, 13)]  # saved at 4
    assert isinstance(told[-1], Finished)
    assert checkpoints.existing(tmp_path)[-1].name == "000012"


@pytest.mark.parametrize(
    ("room", "fields", "remedy"),
    [(2, {}, "data.max_length to 8 "), (3, {"micro_batch": 2}, "train.micro_batch to 1")],
)
def test_the_error_names_what_is_smaller(tmp_path: Path, room: int, fields: dict[str, Any], remedy: str) -> None:
    with pytest.raises(OutOfMemory) as found:
        events(Cramped(room=room), tmp_path, **fields)
    assert remedy in found.value.hint
    assert found.value.hint.endswith("Close other programs.")
