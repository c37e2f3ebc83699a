"""JSON schemas that a request brings: those that would take an engine's grammar for ever are refused."""

from __future__ import annotations

import json
from typing import Any

from gemmalocal.serving.engine import Refused

LARGEST = 20_000  # characters
REPEATS = ("minItems", "maxItems", "minLength", "maxLength")
MOST_REPEATS = 2_000  # in each other, multiplied


def check(schema: Any, param: str) -> None:
    """Raise `Refused` for a schema that is too large, repeats too much, or points out of itself."""
    if not isinstance(schema, dict):
        raise Refused(f"Invalid value for '{param}': a schema is an object.", param=param)
    if len(json.dumps(schema)) > LARGEST:
        raise Refused(f"Invalid schema for '{param}': it has more than {LARGEST} characters.", param=param)
    _walk(schema, 1, param)


def _walk(schema: Any, repeats: int, param: str) -> None:
    if isinstance(schema, list):
        for item in schema:
            _walk(item, repeats, param)
    if not isinstance(schema, dict):
        return
    if "pattern" in schema or "patternProperties" in schema:
        raise Refused(f"Invalid schema for '{param}': patterns are not supported.", param=param)
    if not str(schema.get("$ref", "#")).startswith("#"):
        raise Refused(f"Invalid schema for '{param}': $ref may point into the schema only.", param=param)
    for name in REPEATS:
        times = schema.get(name, 0)
        if isinstance(times, bool) or not isinstance(times, int) or not 0 <= times * repeats <= MOST_REPEATS:
            raise Refused(
                f"Invalid schema for '{param}': {name} must be a number from 0 to {MOST_REPEATS // repeats}.",
                param=param,
            )
    inner = repeats * max(1, *(schema.get(name, 1) for name in REPEATS))
    for value in schema.values():
        _walk(value, inner, param)
