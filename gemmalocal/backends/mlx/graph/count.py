"""Count a training step and a decoded token, ours and mlx-lm's, on the GPU's path."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.generate import generate_step
from mlx_lm.tuner.callbacks import TrainingCallback

from gemmalocal.backends.mlx import baseline, compute_path
from gemmalocal.backends.mlx.generate import MlxGenerator
from gemmalocal.backends.mlx.graph.figures import figures
from gemmalocal.backends.mlx.graph.order import WIDTH
from gemmalocal.backends.mlx.graph.recording import Handover, Recording, recording, replaced
from gemmalocal.backends.mlx.graph.stand_ins import as_kernels
from gemmalocal.backends.mlx.train import MlxTrainer
from gemmalocal.backends.process_group import ALONE
from gemmalocal.backends.protocol import Sampling
from gemmalocal.data.batches import plan, rounds
from gemmalocal.data.examples import Example
from gemmalocal.recipe.schema import Recipe

FIRST, COUNTED, LAST = "first", "counted", "last"
STEPS = (FIRST, COUNTED, LAST)  # the first step makes the optimizer's state; the last one shows what is still needed
PROMPT = list(range(1, 17))
TOKENS = (FIRST, "second", COUNTED, LAST, "end")  # after each token's name is what leads to the next


@contextmanager
def gpu_path() -> Iterator[None]:
    """The engine takes the path of a GPU meanwhile."""
    with replaced(compute_path, "current", lambda: compute_path.GPU):
        yield


def _recorded(program: Callable[[Recording], None]) -> list[Handover]:
    """What a program hands over. It has a thread of its own, since MLX remembers by thread what it has compiled."""

    def run() -> list[Handover]:
        with gpu_path(), as_kernels(), recording() as record:
            program(record)
        return record.handovers

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(run).result()


def our_step(folder: Path, recipe: Recipe, rows: Sequence[Example]) -> dict[str, Any]:
    """A step of the recipe on these rows."""
    handovers = our_steps(folder, recipe, rows)
    return figures(handovers, COUNTED, int(os.environ.get("MLX_BFS_MAX_WIDTH", WIDTH)))


def our_steps(folder: Path, recipe: Recipe, rows: Sequence[Example]) -> list[Handover]:
    """What is handed over by some steps of the recipe on these rows; their phases are `STEPS`."""

    def program(record: Recording) -> None:
        trainer = MlxTrainer(folder, recipe, ALONE)
        for record.phase in STEPS:
            for parts in rounds(plan(list(rows), trainer.shapes), trainer.shapes.streams):
                trainer.accumulate(parts)
            trainer.apply(1e-4)

    return _recorded(program)


def stock_step(folder: Path, recipe: Recipe, rows: Sequence[Example]) -> dict[str, Any]:
    """A step of mlx-lm's trainer on these rows."""
    pairs = [(row.ids.tolist(), len(row.ids) - row.supervised) for row in rows]
    length = max(len(row.ids) for row in rows)

    def program(record: Recording) -> None:
        model = baseline.load_stock(folder, recipe.dtype, adapted=True)
        baseline.train_stock(model, pairs, len(pairs), len(STEPS), length, False, _Phases(record))

    return figures(_recorded(program), COUNTED)


class _Phases(TrainingCallback):  # type: ignore[misc]
    """A step of mlx-lm's is a phase."""

    def __init__(self, record: Recording) -> None:
        self._record, self._steps = record, iter(STEPS)
        record.phase = next(self._steps)

    def on_train_loss_report(self, info: dict[str, Any]) -> None:
        self._record.phase = next(self._steps, LAST)


def write_adapter(folder: Path, recipe: Recipe, into: Path) -> None:
    """An adapter of the recipe's shape, of zeros."""
    _recorded(lambda record: MlxTrainer(folder, recipe, ALONE).save(into))


def our_token(folder: Path, recipe: Recipe, adapters: Sequence[Path], voices: Sequence[int]) -> dict[str, Any]:
    """A decoded token of several answers at once, each by a voice: 0 is the base, k the k-th adapter."""

    def program(record: Recording) -> None:
        generator = MlxGenerator(folder, adapters, recipe.weight_dtype, recipe.bits)
        sampling = Sampling(max_tokens=len(TOKENS) + 1)
        _name_tokens(record, generator.stream([PROMPT] * len(voices), voices, sampling, set()))

    return figures(_recorded(program), COUNTED)


def stock_token(folder: Path, recipe: Recipe, adapted: bool) -> dict[str, Any]:
    """A decoded token of mlx-lm's, with an adapter of the recipe's shape or without."""

    def program(record: Recording) -> None:
        model = baseline.load_stock(folder, recipe.dtype, adapted)
        model.eval()
        _name_tokens(record, generate_step(mx.array(PROMPT), model, max_tokens=len(TOKENS) + 1))

    return figures(_recorded(program), COUNTED)


def _name_tokens(record: Recording, tokens: Iterator[Any]) -> None:
    """Let each token begin its phase; what comes before them is the prompt's."""
    record.phase = "prompt"
    for token, _ in zip(TOKENS, tokens, strict=False):
        record.phase = token
