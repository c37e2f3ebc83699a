"""Ways that lead on: from rows to the recipe that trains on them, from a run to its recipe again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gemmalocal.errors import RecipeError
from tui.screens.recipe import RecipeScreen

ON_ROWS = "docs-qa"  # the shipped recipe for a dataset that was prepared here
KEY = re.compile(r"\b(?:data|train|lora|samples)\.[a-z_]+")  # of a recipe, as a remedy names it


def train_on(name: str, path: str, model: str = "") -> RecipeScreen:
    """The form of a run on these rows; reads the names of recipes. Raises `RecipeError` where none comes along."""
    from gemmalocal.recipe import recipe_file

    shipped = recipe_file.builtin_recipes()
    if not shipped:
        raise RecipeError("No recipe comes along with this installation.", "Install gemmalocal again.")
    changes: dict[str, Any] = {"data": {"path": path}, **({"model": model} if model else {})}
    return RecipeScreen(shipped.get(ON_ROWS) or next(iter(shipped.values())), changes, name)


def again(run: Path, remedy: str = "") -> RecipeScreen:
    """The form of a run's recipe; the focus is on the field that a remedy names, if it does."""
    key = KEY.search(remedy)
    return RecipeScreen(run / "recipe.yaml", at=key[0] if key else "")
