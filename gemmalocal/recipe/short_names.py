"""Keys of a recipe by their last word, as Python's keyword arguments have them: steps for train.steps."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from gemmalocal.errors import RecipeError
from gemmalocal.recipe.schema import Recipe

NESTED = "__"  # between the words of a whole key, where a dot cannot stand


def by_full_name(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values by whole key, of Python's names and values.

    A name is a key (`model`), the last word of one (`steps`), or a whole one (`train__steps`, `train.steps`). Raises
    `RecipeError` for one that is none, or that several sections have.
    """
    return {full_name(name): str(value) if isinstance(value, Path) else value for name, value in changes.items()}


def full_name(name: str) -> str:
    """The whole key that a name stands for; raises `RecipeError`."""
    whole = name.replace(NESTED, ".")
    if "." in whole or whole in Recipe.model_fields:
        return whole
    keys = _nested_keys()
    matches = [key for key in keys if key.rpartition(".")[2] == whole]
    if len(matches) > 1:  # what a teacher has too is meant without it
        matches = [key for key in matches if not key.startswith("teacher.")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise RecipeError(
            f"{name} is a key of several sections.", f"Say which: {' or '.join(_named(key) for key in matches)}."
        )
    words = [*Recipe.model_fields, *(key.rpartition(".")[2] for key in keys)]
    near = difflib.get_close_matches(whole, words, 1)
    hint = f"Did you mean {near[0]}?" if near else "All keys: docs/recipes.md."
    raise RecipeError(f"There is no key {name} in a recipe.", hint)


def _named(key: str) -> str:
    return key.replace(".", NESTED)


def _nested_keys() -> list[str]:
    """All keys of the sections of a recipe."""
    keys = []
    for name, field in Recipe.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            keys += [f"{name}.{key}" for key in section.model_fields]
    return keys
