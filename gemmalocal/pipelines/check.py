"""What a recipe would train on, without loading the weights: problems, statistics, and rows as they are supervised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gemmalocal.backends import open_backend
from gemmalocal.data.judged_rounds import judged_together
from gemmalocal.jobs.events import Event, Finished, Report
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.budget import Budget, budget, load_of
from gemmalocal.pipelines.shared.loading import Prepared
from gemmalocal.pipelines.shared.survey import page, survey
from gemmalocal.planning import throughput
from gemmalocal.recipe.schedule_remarks import schedule_remarks
from gemmalocal.recipe.schema import Recipe

SHOWN = 3


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Report on the rows of the recipe `spec`; where none can be trained on, on their problems."""
    recipe = Recipe.model_validate(spec)
    prepared = Prepared()
    report = yield from survey(recipe, prepared, directory / "examples")
    backend = open_backend(recipe.backend)
    together = judged_together(prepared.train, backend.shapes())
    decided = budget(recipe, prepared.folder, load_of(prepared.train, recipe), backend, together=together)
    estimates = {
        "steps": recipe.train.steps_over(prepared.train.groups),
        "memory": memory(decided),
        "checkpointing": decided.recipe.train.checkpointing,
        "time": duration(recipe, prepared),
        "rows": page(prepared, prepared.train[: SHOWN * prepared.train.group]),
    }
    report["notes"] += schedule_remarks(recipe.train, prepared.train.groups, prepared.held_out.groups)
    report["notes"] += filter(None, [backend.device_remark()])
    yield Report({**report, **estimates})
    yield Finished("done")


def memory(decided: Budget) -> dict[str, Any]:
    """The peak to expect by what takes it, in bytes, what there is of which memory, and the longest row to fit."""
    return {
        **asdict(decided.expected),
        "total": decided.expected.total,
        "machine": decided.memory.total,
        "usable": decided.memory.usable,
        "of": decided.memory.of,
        "fits": decided.fits,
        "longest_row": decided.longest_row,
    }


def duration(recipe: Recipe, prepared: Prepared) -> dict[str, Any]:
    """How long the run will take, if this machine has tuned this model before."""
    pace, trained = throughput.pace_of_model(recipe.model)
    if pace is None:
        untrained = "this model" if trained else "anything"
        return {"seconds": None, "why": f"no estimate yet: this machine has not trained {untrained}"}
    count = recipe.train.steps_over(prepared.train.groups)
    rows = recipe.train.rows_over(prepared.train.groups) or count * recipe.train.rows_per_step
    tokens = rows / count * prepared.train.supervised / prepared.train.groups
    looked_at = prepared.held_out.spaced(recipe.train.evaluation_rows)
    evaluations = 1 + -(-count // recipe.train.evaluate_every)
    seconds = pace.estimate(count, tokens, evaluations, looked_at.supervised)
    return {"seconds": round(seconds, 1), "why": f"by the pace of {pace.run}"}
