"""What a run with an objective over judged answers has beside its rows: the reference, and who judges."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.protocol import Trainer
from gemmalocal.data.batches import batch_indices
from gemmalocal.data.judged_rounds import judged_together
from gemmalocal.data.token_store import Examples
from gemmalocal.engine import checkpoints
from gemmalocal.engine.judged_side import JudgedSide
from gemmalocal.engine.loop import TrainingRun
from gemmalocal.engine.preference import Preference
from gemmalocal.engine.reference import Reference
from gemmalocal.engine.shares import ROWS
from gemmalocal.jobs.events import Event, Notice, Stage
from gemmalocal.pipelines.shared import start_from
from gemmalocal.recipe import search
from gemmalocal.recipe.schema import Recipe, TrainSpec

LONGER = 0.7  # of the chosen answers: if more are longer than the rejected ones, it is told


def preference(recipe: Recipe, run: TrainingRun, reference: Reference | None) -> Preference:
    """How a run learns from judgements, with what `asked` gave."""
    spec = recipe.objective
    return Preference(spec, *_sides(recipe, run), reference, recipe.train.rows_at_once)


def _sides(recipe: Recipe, run: TrainingRun) -> tuple[JudgedSide, JudgedSide]:
    """What a run trains on, and what it measures."""
    assert isinstance(run.train, Examples)
    assert isinstance(run.held_out, Examples)
    measured = run.held_out if len(run.held_out) else run.train[:ROWS]
    return JudgedSide.of(recipe.objective, run.train), JudgedSide.of(recipe.objective, measured)


def asked(
    recipe: Recipe, base: Path, run: TrainingRun, trainer: Trainer, directory: Path
) -> Generator[Event, None, Reference | None]:
    """The reference, if the objective needs one: `trainer`, of the model in `base`, has not been trained yet.

    It is asked for all that a run, and each trial of its search, may train on. What is known is kept in `directory`: a
    run that goes on has the same.
    """
    assert isinstance(run.train, Examples)
    rows = recipe.train.rows_at_once
    yield from _lengths(run.train)
    yield from _parted(run.train, recipe.train, trainer)
    if not recipe.objective.referring:
        return None
    train, measured = _sides(recipe, run)
    stored = 1 + max(int(side.examples.indices.max()) for side in (train, measured))
    reference = Reference(directory, stored, trainer.group)
    if reference.damage:
        yield Notice(reference.damage)
    places = [(train, used(recipe, run.train, run.steps)), (measured, np.arange(len(measured.examples)))]
    missing = [(side, at) for side, at in places if reference.lacks(side, at)]
    if missing and recipe.start_from is not None and checkpoints.existing(run.folder):
        start_from.load_adapter(trainer, recipe, base)  # what it has learned since is restored later
    for side, at in missing:
        yield Stage("asking the model as it starts, whose answers are compared with")
        yield from reference.fill(side, at, rows, trainer)
    return reference


def used(recipe: Recipe, examples: Examples, steps: int | None) -> NDArray[np.int64]:
    """The places of the examples that a run of so many steps (None: not known), and its search, may train on."""
    if steps is None or recipe.search.learning_curve:
        return np.arange(len(examples))
    order = {(each.train.rows_per_step, each.train.seed): each.train for each in search.tried(recipe)}
    return np.unique(np.concatenate([_used(examples, train, steps) for train in order.values()]))


def _used(examples: Examples, train: TrainSpec, steps: int) -> NDArray[np.int64]:
    steps = max(steps, train.steps_over(examples.groups) or 0)
    if steps * train.rows_per_step >= examples.groups:
        return np.arange(len(examples))
    end = train.rows_over(examples.groups)
    batches = (
        batch_indices(len(examples), train.rows_per_step, train.seed, step, end, examples.group)
        for step in range(steps)
    )
    return np.unique(np.concatenate(list(batches)))


def _parted(examples: Examples, train: TrainSpec, trainer: Trainer) -> Iterator[Notice]:
    """Pairs that do not fit into memory at once cost a pass more."""
    shapes = trainer.shapes
    if shapes.streams == 1 and (judged_together(examples, shapes) > shapes.limit or train.rows_at_once == 1):
        yield Notice(
            "some pairs are too long to be computed at once: their log-probabilities are computed first, which takes "
            "about a third longer (train.micro_batch, data.max_length)"
        )


def _lengths(examples: Examples) -> Iterator[Notice]:
    """Where better answers are simply longer ones, length is what is learned."""
    if examples.group != 2:
        return
    chosen, rejected = examples.lengths[::2], examples.lengths[1::2]  # the prompt is the same in both
    share = float((chosen > rejected).mean())
    if share > LONGER:
        yield Notice(
            f"{share:.0%} of the chosen answers are longer than the rejected ones: the model may learn length alone; "
            "add pairs whose shorter answer is the better one"
        )
