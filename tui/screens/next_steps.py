"""Ways that lead on: from rows to the recipe that trains on them, from a run to its recipe again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from textual.app import App
from textual.content import Content

from gemmalocal.errors import RecipeError
from gemmalocal.files import safe_read
from gemmalocal.workspace import runs, votes
from tui.screens.pick import PickScreen
from tui.screens.recipe import RecipeScreen

ON_ROWS, ON_VOTES = "docs-qa", "prefer-votes"  # the shipped recipes for datasets that were made here
WIDTH = 14  # cells of a choice
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


def again(app: App[Any], run: Path, remedy: str = "") -> None:
    """Open the form of a run's recipe; the focus is on the field that a remedy names, if it does.

    Where a search has chosen it, it is asked whether to search again.
    """
    key = KEY.search(remedy)
    at = key[0] if key else ""
    if not safe_read.is_file(run / runs.SEARCHED):
        app.push_screen(RecipeScreen(run / runs.RECIPE, at=at))
        return
    offers = [
        (Content.assemble((words.ljust(WIDTH), "bold"), means), file)
        for file, words, means in (
            (runs.RECIPE, "train again", "by what the search chose, without the search"),
            (runs.SEARCHED, "search again", "try settings first, as this run did"),
        )
    ]

    def picked(file: str | None) -> None:
        if file is not None:
            app.push_screen(RecipeScreen(run / file, at=at))

    app.push_screen(PickScreen(f"{run.name}, once more", lambda: offers), picked)
