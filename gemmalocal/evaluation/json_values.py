"""JSON in texts, and its values one by one."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

FENCE = re.compile(r"^```\w*\s*\n(.*?)\n?```\s*$", re.DOTALL)
DEEPEST = 50  # levels that are told apart
REMEMBERED = 1024  # texts: each answer is compared with many references


@lru_cache(REMEMBERED)
def parsed(text: str) -> Any:
    """The JSON value that a text is, also in a fence; None if it is none."""
    fence = FENCE.match(text.strip())
    try:
        value = json.loads(fence.group(1) if fence else text, parse_constant=lambda constant: None)
    except (ValueError, RecursionError):
        return None
    return value


def leaves(value: Any, path: tuple[str | int, ...] = (), depth: int = 0) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Each value in an object or list, with the way to it; what lies deeper than 50 levels as a whole."""
    if isinstance(value, dict) and value and depth < DEEPEST:
        for key, inner in value.items():
            yield from leaves(inner, (*path, str(key)), depth + 1)
    elif isinstance(value, list) and value and depth < DEEPEST:
        for place, inner in enumerate(value):
            yield from leaves(inner, (*path, place), depth + 1)
    else:
        same = isinstance(value, float) and math.isfinite(value) and value == int(value)
        yield path, repr(int(value) if same else value)
