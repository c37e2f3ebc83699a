"""Recipes and preparations as JSON Schema (draft 2020-12), by which an editor completes and underlines.

It knows what each key may hold. What keys mean together is known to `gemmalocal check` alone.
"""

from __future__ import annotations

from typing import Any

from gemmalocal.recipe.overrides import LENGTHS
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.recipe.schema import Recipe

DRAFT = "https://json-schema.org/draft/2020-12/schema"
MODELINE = "# yaml-language-server: $schema="  # begins the line by which an editor finds a file's schema

Schema = dict[str, Any]


def recipe() -> Schema:
    """Of a recipe file."""
    whole = _whole(Recipe.model_json_schema(), "A recipe of gemmalocal")
    parts = whole["$defs"]
    # A place of rows is its path alone, or keys; one or several.
    parts["DataSourceKeys"] = parts["DataSource"]
    parts["DataSource"] = {"anyOf": [{"type": "string", "minLength": 1}, _reference("DataSourceKeys")]}
    path = parts["DataSpec"]["properties"]["path"]
    path["anyOf"] = [*path.pop("oneOf"), _reference("DataSourceKeys")]
    parts["TrainSpec"]["oneOf"] = [_with_number(length) for length in LENGTHS]
    return whole


def preparation() -> Schema:
    """Of a file that `gemmalocal prepare` takes."""
    whole = _whole(Preparation.model_json_schema(), "A preparation of gemmalocal")
    kinds = whole["properties"]["kinds"]
    description = kinds.pop("description")
    names = {"type": "array", "items": {"type": "string"}}
    whole["properties"]["kinds"] = {"description": description, "anyOf": [kinds, names, {"type": "string"}]}
    return whole


def _whole(schema: Schema, title: str) -> Schema:
    return {"$schema": DRAFT, "title": title, **_untitled(schema)}


def _untitled(part: Any) -> Any:
    """Without the titles that only say a key's name again."""
    if isinstance(part, dict):
        return {key: _untitled(value) for key, value in part.items() if key != "title" or not isinstance(value, str)}
    return [_untitled(value) for value in part] if isinstance(part, list) else part


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _with_number(key: str) -> Schema:
    """That a key is there and is not null."""
    return {"required": [key], "properties": {key: {"type": "number"}}}
