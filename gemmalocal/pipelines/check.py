"""What a recipe would train on, without loading the weights: problems, statistics, and rows as they are supervised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gemmalocal.backends import open_backend
from gemmalocal.data.judged_rounds import judged_together
from gemmalocal.engine import halving
from gemmalocal.jobs.events import Event, Finished, Report
from gemmalocal.jobs.plurals import counted
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared import teaching
from gemmalocal.pipelines.shared.budget import Budget, budget, load_of
from gemmalocal.pipelines.shared.loading import Prepared
from gemmalocal.pipelines.shared.survey import page, survey
from gemmalocal.planning import model_sizes, throughput
from gemmalocal.recipe import rates, search
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
    weights = model_sizes.weights_of(prepared.folder)
    sized = search.widest(recipe, weights)
    decided = budget(sized, prepared.folder, load_of(prepared.train, sized), backend, together=together)
    steps, about = steps_of(recipe, prepared)
    estimates: dict[str, Any] = {
        "steps": steps,
        "about": about,
        "memory": memory(decided),
        "checkpointing": decided.recipe.train.checkpointing,
        "time": duration(recipe, prepared),
        "rows": page(prepared, prepared.train[: SHOWN * prepared.train.group]),
    }
    if recipe.teacher.model is not None:
        estimates["scoring"] = yield from teaching.expected(recipe, prepared)
    report["notes"] += schedule_remarks(recipe.train, prepared.train.groups, prepared.held_out.groups)
    report["notes"] += _searched(recipe, prepared, weights, steps)
    estimates["learning_rate"] = rates.resolved(recipe, weights).train.learning_rate
    report["notes"] += filter(None, [rates.sentence(recipe, weights), backend.device_remark()])
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


def steps_of(recipe: Recipe, prepared: Prepared) -> tuple[int | None, str]:
    """The steps of a run; where its time is given, as many as fit into it, and by which pace. None: not known yet."""
    train, rows = recipe.train, prepared.train
    if train.minutes is None:
        return train.steps_over(rows.groups), ""
    pace, trained = throughput.pace_of_model(recipe.model)
    if pace is None:
        return None, f"how many steps {train.minutes:g} min are is not known yet: {_untrained(trained)}"
    tokens = train.rows_per_step * rows.supervised / rows.groups
    looked_at = prepared.held_out.spaced(train.evaluation_rows).supervised
    return pace.steps(60 * train.minutes, tokens, train.evaluate_every, looked_at), f"by the pace of {pace.run}"


def duration(recipe: Recipe, prepared: Prepared) -> dict[str, Any]:
    """How long the run will take: as the recipe says, or if this machine has tuned this model before."""
    train = recipe.train
    if train.minutes is not None:
        return {"seconds": 60 * train.minutes, "why": "as the recipe says (train.minutes)"}
    pace, trained = throughput.pace_of_model(recipe.model)
    if pace is None:
        return {"seconds": None, "why": f"no estimate yet: {_untrained(trained)}"}
    count = train.steps_over(prepared.train.groups) or 1
    rows = train.rows_over(prepared.train.groups) or count * train.rows_per_step
    tokens = rows / count * prepared.train.supervised / prepared.train.groups
    looked_at = prepared.held_out.spaced(train.evaluation_rows)
    evaluations = 1 + -(-count // train.evaluate_every)
    seconds = pace.estimate(count, tokens, evaluations, looked_at.supervised)
    return {"seconds": round(seconds, 1), "why": f"by the pace of {pace.run}"}


def _searched(recipe: Recipe, prepared: Prepared, weights: float | None, steps: int | None) -> list[str]:
    """What is tried before the run, for how long, and by which rows."""
    if not recipe.search.on:
        return []
    tried = search.candidates(recipe, weights)
    aside = 0 if prepared.tune is None else prepared.tune.groups
    notes = [f"tried first: {'; '.join(map(search.words, tried))}", f"{counted(aside, 'row')} set aside to choose by"]
    if steps is not None and not recipe.search.learning_curve:
        rungs = halving.rungs(len(tried), max(len(tried), int(recipe.search.share * steps)))
        notes.append("trials: " + ", then ".join(f"{rung.trials} for {counted(rung.steps, 'step')}" for rung in rungs))
    return notes


def _untrained(anything: bool) -> str:
    return f"this machine has not trained {'this model' if anything else 'anything'}"
