"""A teacher's reading of a recipe's rows as a job of its own: what it says is then there for every run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemmalocal.jobs.events import Event, Finished, Report
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared import teaching
from gemmalocal.pipelines.shared.background import Stopped
from gemmalocal.pipelines.shared.loading import Prepared, prepare
from gemmalocal.planning import macos
from gemmalocal.recipe.schema import Recipe


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Let the teacher of the recipe `spec` read all of its rows."""
    recipe = Recipe.model_validate(spec)
    prepared = Prepared()
    yield from prepare(recipe, prepared, directory / "examples", weights=False)
    rows = list(map(teaching.reads_of(recipe, prepared), [*prepared.train, *prepared.held_out]))
    try:
        with macos.awake():
            teacher = yield from teaching.teacher_of(recipe, prepared)
            store = yield from teaching.read(teacher, recipe, rows, commands=commands)
    except Stopped:
        yield Finished("stopped", "what the teacher has read so far is kept; the same command goes on")
        return
    yield Report(teaching.summary(teacher, store, rows))
    yield Finished("done")
