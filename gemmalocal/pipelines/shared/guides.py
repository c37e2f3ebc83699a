"""What tells runs over the same rows more than the rows: judgements of them, or a teacher; asked once for all."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

from gemmalocal.backends.protocol import Trainer
from gemmalocal.data.taught_store import TaughtStore
from gemmalocal.engine.guide import Guide
from gemmalocal.engine.loop import TrainingRun
from gemmalocal.jobs.events import Event
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared import judging, teaching
from gemmalocal.pipelines.shared.loading import Prepared
from gemmalocal.pipelines.shared.on_policy import OnPolicy
from gemmalocal.recipe.schema import Recipe

GuideOf = Callable[[Recipe, TrainingRun], Guide | None]  # of a recipe whose objective is of the same kind


def guides(
    recipe: Recipe,
    prepared: Prepared,
    work: TrainingRun,
    store: TaughtStore | None,
    trainer: Trainer,
    directory: Path,
    commands: Commands,
) -> Generator[Event, None, GuideOf]:
    """Ask what must be known of all rows; `trainer` has not been trained yet. Gives the guide of each recipe."""
    if recipe.objective.judging:
        reference = yield from judging.asked(recipe, prepared.folder, work, trainer, directory)
        return lambda recipe, work: judging.preference(recipe, work, reference)
    if store is not None and recipe.teacher.rounds:
        return lambda recipe, work: OnPolicy(recipe, prepared, work, store, directory, commands)
    if store is not None:
        return lambda recipe, work: teaching.guide(recipe, work, store, prepared)
    return lambda recipe, work: None
