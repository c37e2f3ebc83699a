"""Count a training step, ours and mlx-lm's, on the GPU's path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from mlx_lm.tuner.callbacks import TrainingCallback

from gemmalocal.backends.mlx import baseline, device
from gemmalocal.backends.mlx.graph import launches
from gemmalocal.backends.mlx.graph.recording import Recording, recording, replaced
from gemmalocal.backends.mlx.graph.stand_ins import as_kernels
from gemmalocal.backends.mlx.train import MlxTrainer
from gemmalocal.backends.process_group import ALONE
from gemmalocal.data.batches import plan, rounds
from gemmalocal.data.examples import Example
from gemmalocal.recipe.schema import Recipe

FIRST, COUNTED = "first step", "counted step"  # the first one makes the optimizer's state
STEPS = (FIRST, COUNTED)


@contextmanager
def gpu_path() -> Iterator[None]:
    """The engine takes the path of a GPU meanwhile."""
    with replaced(device, "on_cpu", lambda: False):
        yield


@contextmanager
def _recorded() -> Iterator[Recording]:
    with gpu_path(), as_kernels(), recording() as record:
        yield record


def our_step(folder: Path, recipe: Recipe, rows: Sequence[Example]) -> dict[str, Any]:
    """A step of the recipe on these rows."""
    with _recorded() as record:
        trainer = MlxTrainer(folder, recipe, ALONE)
        for step in STEPS:
            record.phase = step
            for parts in rounds(plan(list(rows), trainer.shapes), trainer.shapes.streams):
                trainer.accumulate(parts)
            record.phase += ", update"
            trainer.apply(1e-4)
    return _figures(record)


class _Phases(TrainingCallback):  # type: ignore[misc]
    """A step of mlx-lm's is a phase."""

    def __init__(self, record: Recording) -> None:
        self._record = record

    def on_train_loss_report(self, info: dict[str, Any]) -> None:
        self._record.phase = COUNTED


def stock_step(folder: Path, recipe: Recipe, rows: Sequence[Example]) -> dict[str, Any]:
    """A step of mlx-lm's trainer on these rows."""
    pairs = [(row.ids.tolist(), len(row.ids) - row.supervised) for row in rows]
    with _recorded() as record:
        baseline.train_stock(
            folder,
            pairs,
            len(pairs),
            len(STEPS),
            max(len(row.ids) for row in rows),
            False,
            _Phases(record),
            recipe.dtype,
        )
    return _figures(record)


def _figures(record: Recording) -> dict[str, Any]:
    """Of the counted step."""
    counted: dict[int, list[launches.Operation]] = {}
    for operation in launches.operations(record.handovers):
        if record.handovers[operation.handover].phase.startswith(COUNTED):
            counted.setdefault(operation.handover, []).append(operation)
    parts = Counter[str]()
    for number, brought in counted.items():
        parts[record.handovers[number].phase] += sum(operation.launches for operation in brought)
    kinds = launches.by_kind(list(chain.from_iterable(counted.values())))
    return {
        "launches": kinds.total(),
        "waits": sum(record.handovers[number].waits for number in counted),
        "parts": dict(parts),
        "kinds": dict(kinds.most_common()),
    }
