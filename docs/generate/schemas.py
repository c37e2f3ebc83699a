"""The schemas beside the recipes, which editors read."""

from __future__ import annotations

import json

from gemmalocal.recipe import json_schema


def recipe() -> str:
    """recipes/recipe.schema.json."""
    return _written(json_schema.recipe())


def preparation() -> str:
    """recipes/prepare.schema.json."""
    return _written(json_schema.preparation())


def _written(schema: json_schema.Schema) -> str:
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
