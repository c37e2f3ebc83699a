"""What the functions ask of the rooms behind: recipes out of Python's values, and jobs whose answer is a report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemmalocal.errors import GemmalocalError
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.events import Event, Failed, Report

if TYPE_CHECKING:  # pydantic is only loaded when a recipe is read
    from gemmalocal.recipe.prepare_schema import Preparation
    from gemmalocal.recipe.schema import Recipe

POLL = 0.1  # seconds
STOPS = 5.0  # seconds that an errand has to stop


def recipe(given: str | Path | Mapping[str, Any], changes: Mapping[str, Any]) -> Recipe:
    """A recipe with changes; raises `RecipeError` with all problems."""
    from gemmalocal.recipe import recipe_file

    return recipe_file.changed(given, by_full_name(changes))


def by_full_name(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values by whole key of a recipe; raises `RecipeError`."""
    from gemmalocal.recipe import short_names

    return short_names.by_full_name(changes)


def preparation(tree: dict[str, Any]) -> Preparation:
    """A preparation out of its keys; raises `RecipeError` with all problems."""
    from gemmalocal.recipe import recipe_file
    from gemmalocal.recipe.prepare_schema import Preparation

    return recipe_file.checked(tree, Preparation, "The preparation cannot be made as it is:", "See docs/guide.md.")


def answer(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The report of a short job in a process of its own."""
    return waited(processes.errand(kind, spec), remove=True)


def waited(job: processes.Job, remove: bool = False) -> dict[str, Any]:
    """The report of a job, once it has ended; raises what went wrong. `remove` its folder afterwards.

    Whoever interrupts the wait lets the job stop: what it has is kept.
    """
    told: dict[str, Any] = {}
    try:
        last: Event | None = None
        for event in news(job):
            last = event
            if isinstance(event, Report):
                told = event.data
        if isinstance(last, Failed):
            raise failure(last)
        if not told:
            raise history.death(job)
    except KeyboardInterrupt:
        if job.alive:
            job.ask(do="stop")
        raise
    finally:
        if remove:
            if not job.ended(STOPS):
                job.kill()
            shutil.rmtree(job.directory, ignore_errors=True)
    return told


def news(job: processes.Job) -> Iterator[Event]:
    """Events as they come, until the job has ended."""
    while True:
        alive = job.alive  # asked before the read: else the end could be missed
        yield from job.poll()
        if not alive:
            return
        time.sleep(POLL)


def failure(last: Failed) -> GemmalocalError:
    """What a job's last word says, to be raised; its class is that of the error, where it is one of ours."""
    kinds = {kind.__name__: kind for kind in _kinds(GemmalocalError)}
    return kinds.get(last.error, GemmalocalError)(last.message, last.hint)


def _kinds(base: type[GemmalocalError]) -> Iterator[type[GemmalocalError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)
