"""A run, with what it made, as exports and servers take it."""

from __future__ import annotations

from pathlib import Path

from gemmalocal.errors import ModelError
from gemmalocal.export.source import FinishedRun
from gemmalocal.jobs import history
from gemmalocal.recipe.schema import Recipe
from gemmalocal.records import Tell
from gemmalocal.weights.locate import locate


def open_run(folder: Path, tell: Tell) -> FinishedRun:
    """A run with what it made; raises `ModelError` if that is nothing yet."""
    check_made(folder)
    recipe = Recipe.model_validate(history.spec(folder))
    return FinishedRun(folder, recipe, locate(recipe.model, tell, True), history.result(folder))


def check_made(folder: Path) -> None:
    """Raise `ModelError` for a run that has made nothing yet."""
    if not history.result(folder).is_dir():
        raise ModelError(f"{folder.name} has made nothing yet.", f"Train it first: gemmalocal resume {folder.name}")
