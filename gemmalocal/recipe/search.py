"""What is tried before a run: which settings, and what a trial is called."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import product
from random import Random
from typing import Any

from gemmalocal.errors import RecipeError
from gemmalocal.recipe import overrides, rates, recipe_file
from gemmalocal.recipe.schema import Recipe
from gemmalocal.recipe.search_keys import RATE
from gemmalocal.recipe.search_spec import axis

ROWS = "data.share"  # of the rows to train on, in a learning curve; no key of a recipe
SHARES = {0.25: "a quarter of the rows", 0.5: "half of the rows", 1.0: "all rows"}
METHODS = ("lora", "dora", "full")  # in ascending memory
LOWEST, HIGHEST = 0.5, 4.0  # of the rates that are tried by default, times auto

Values = dict[str, Any]  # of a trial, by whole key


def axes(recipe: Recipe, weights: float | None = None) -> dict[str, list[Any]]:
    """The values that are tried of each key; raises `RecipeError` for a key that is named twice."""
    given = [axis(text) for text in recipe.search.over]
    if twice := next((key for key, _ in given if [other for other, _ in given].count(key) > 1), ""):
        raise RecipeError(f"search.over names {twice} twice.", "Give all its values at once: KEY=VALUE,VALUE.")
    return dict(given) or {RATE: around(rates.learning_rate(recipe, weights)[0], recipe.search.trials)}


def around(rate: float, count: int) -> list[float]:
    """So many rates, each as many times the one before, from half of `rate` to four times it."""
    step = (HIGHEST / LOWEST) ** (1 / max(1, count - 1))
    lowest = rate * (LOWEST if count > 1 else 1)
    return [float(f"{lowest * step**number:.2g}") for number in range(count)]


def candidates(recipe: Recipe, weights: float | None = None) -> list[Values]:
    """The settings that are tried, in a fixed order; where there are more than `trials`, as many drawn by the seed.

    Raises `RecipeError` for a setting that no recipe can have.
    """
    if recipe.search.learning_curve:
        return [{ROWS: share} for share in SHARES]
    named = axes(recipe, weights)
    settings = [dict(zip(named, values, strict=True)) for values in product(*named.values())]
    if len(settings) > recipe.search.trials:
        places = sorted(Random(recipe.train.seed).sample(range(len(settings)), recipe.search.trials))
        settings = [settings[place] for place in places]
    for values in settings:
        applied(recipe, values)
    return settings


def applied(recipe: Recipe, values: Values) -> Recipe:
    """The recipe with a trial's values; raises `RecipeError` for what no recipe can have."""
    tree = copy.deepcopy(recipe.model_dump(mode="json", exclude_unset=True))
    overrides.put(tree, {key: value for key, value in values.items() if key != ROWS})
    return recipe_file.checked(tree, Recipe, f"{words(values)} cannot be tried:", "All keys: docs/recipes.md.")


def widest(recipe: Recipe, weights: float | None = None) -> Recipe:
    """The recipe with the widest adapter and the largest batch that a search tries: what fits that fits all."""
    every = tried(recipe, weights)
    most = max((each.train for each in every), key=lambda train: train.rows_per_step)
    wide = max(every, key=lambda each: (METHODS.index(each.method), each.lora.rank))
    batch = {"batch_size": most.batch_size, "accumulation": most.accumulation}
    return rates.resolved(wide.model_copy(update={"train": wide.train.model_copy(update=batch)}), weights)


def tried(recipe: Recipe, weights: float | None = None) -> list[Recipe]:
    """A recipe, and that of each setting that it tries."""
    if not recipe.search.on or recipe.search.learning_curve:
        return [recipe]
    return [recipe, *(applied(recipe, values) for values in candidates(recipe, weights))]


def words(values: Values) -> str:
    """What a trial is called: `learning_rate 0.0004, rank 8`."""
    if ROWS in values:
        return SHARES[values[ROWS]]
    return ", ".join(f"{key.rpartition('.')[2]} {_word(value)}" for key, value in values.items())


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
