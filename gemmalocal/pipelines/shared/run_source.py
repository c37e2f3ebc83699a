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
    recipe = Recipe.model_validate(history.spec(folder))
    result = history.result(folder)
    if not result.is_dir():
        raise ModelError(f"{folder.name} has made nothing yet.", f"Train it first: gemmalocal resume {folder.name}")
    return FinishedRun(folder, recipe, locate(recipe.model, tell, True), result)
