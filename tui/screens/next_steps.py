"""Ways that lead on: from rows to the recipe that trains on them, from a run to its recipe again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gemmalocal.errors import RecipeError
from gemmalocal.workspace import votes
from tui.screens.recipe import RecipeScreen

ON_ROWS, ON_VOTES = "docs-qa", "prefer-votes"  # the shipped recipes for datasets that were made here
KEY = re.compile(r"\b(?:data|train|lora|samples)\.[a-z_]+")  # of a recipe, as a remedy names it


def train_on(name: str, path: str, model: str = "") -> RecipeScreen:
    """The form of a run on these rows; of votes one that goes on from the run that was voted on.

    Reads the names of recipes. Raises `RecipeError` where none comes along.
    """
    from gemmalocal.recipe import recipe_file

    shipped = recipe_file.builtin_recipes()
    if not shipped:
        raise RecipeError("No recipe comes along with this installation.", "Install gemmalocal again.")
    changes: dict[str, Any] = {"data": {"path": path}, **({"model": model} if model else {})}
    recipe = ON_ROWS
    if (run := votes.voted_run(Path(path))) is not None:
        recipe, changes = ON_VOTES, changes | votes.settings(run)
    return RecipeScreen(shipped.get(recipe) or next(iter(shipped.values())), changes, name)


def again(run: Path, remedy: str = "") -> RecipeScreen:
    """The form of a run's recipe; the focus is on the field that a remedy names, if it does."""
    key = KEY.search(remedy)
    return RecipeScreen(run / "recipe.yaml", at=key[0] if key else "")
