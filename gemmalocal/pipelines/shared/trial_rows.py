"""The rows of a run and of the trials before it: those of the recipe, and the same for each other prompt_weight."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from gemmalocal.engine import checkpoints
from gemmalocal.engine.loop import TrainingRun
from gemmalocal.files import atomic
from gemmalocal.jobs.events import Event, Notice
from gemmalocal.pipelines.shared.loading import Prepared, prepare
from gemmalocal.recipe import search
from gemmalocal.recipe.schema import Recipe, TrainSpec
from gemmalocal.recipe.search_keys import PROMPT_WEIGHT

EXAMPLES = "examples"  # in a run's folder: its rows
FOLDER = "search"  # in a run's folder: what is of its trials alone
Weighed = dict[float, Prepared]  # by prompt_weight


def weighed(recipe: Recipe, prepared: Prepared, directory: Path) -> Generator[Event, None, Weighed]:
    """The rows as other weights of what the model is given, which a search tries, make them; read before any trial."""
    if PROMPT_WEIGHT not in recipe.search.keys or checkpoints.existing(directory / "checkpoints"):
        return {}
    by_weight: Weighed = {}
    for each in search.tried(recipe):
        weight = each.train.prompt_weight
        if weight in by_weight or weight == recipe.train.prompt_weight:
            continue
        by_weight[weight] = Prepared(folder=prepared.folder, tokenizer=prepared.tokenizer)
        for event in prepare(each, by_weight[weight], _place(directory, weight)):
            if not isinstance(event, Notice):  # they were told of the recipe's own
                yield event
    return by_weight


def _place(directory: Path, weight: float) -> Path:
    return directory / FOLDER / f"rows-{weight:g}"


def over(work: TrainingRun, prepared: Prepared, train: TrainSpec) -> TrainingRun:
    """A run over these rows, by `train`."""
    held_out, steps = prepared.measured.spaced(train.evaluation_rows), train.steps_over(prepared.train.groups)
    return replace(work, train=prepared.train, held_out=held_out, spec=train, steps=steps)


def settle(recipe: Recipe, directory: Path) -> None:
    """Make the rows of another weight, that of `recipe`, those of the run; a kill leaves the ones before, or none."""
    place = _place(directory, recipe.train.prompt_weight)
    if place.is_dir():
        atomic.remove(directory / EXAMPLES)
        place.rename(directory / EXAMPLES)


def take_up(recipe: Recipe, prepared: Prepared, directory: Path) -> None:
    """Let `prepared` be what lies in the run."""
    for _ in prepare(recipe, prepared, directory / EXAMPLES):
        pass
