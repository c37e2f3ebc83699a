"""Events as the lines of `events.jsonl`: written so that any text can be, and read without ever raising."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from gemmalocal.jobs.events import KINDS, Event, Unknown
from gemmalocal.jobs.terminal_text import as_json

LARGEST = 2**63  # of a number in an event: far more than any count
PLAIN: dict[Any, frozenset[type]] = {
    int: frozenset({int}), float: frozenset({int, float}), bool: frozenset({bool}), str: frozenset({str}),
}  # fmt: skip


@cache
def _hints(event: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The types of an event's fields; and those that need no second look, which takes time."""
    hints = get_type_hints(KINDS[event])
    return hints, {name: hint if hint in (str, float, bool) else None for name, hint in hints.items()}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a field's type, through all that it holds."""
    if (plain := PLAIN.get(hint)) is not None:
        return type(value) in plain and (type(value) is not int or -LARGEST < value < LARGEST)
    if hint is Any:
        return True
    parts = get_args(hint)
    if (outer := get_origin(hint)) is list:
        return isinstance(value, list) and all(_fits(item, parts[0]) for item in value)
    if outer is dict:
        return isinstance(value, dict) and all(_fits(item, parts[1]) for item in value.values())
    return any(value is None if part is NoneType else _fits(value, part) for part in parts)


def encode(event: Event, at: float) -> str:
    """One line of JSON, without the newline; any text can be written, and is read back as it was."""
    return as_json({"event": type(event).__name__.lower(), "at": round(at, 3), **asdict(event)})


def decode(line: str) -> Event:
    """The event of a line; never raises, a line that is not understood is `Unknown`. Extra keys are ignored."""
    try:
        raw = json.loads(line)
        kind = KINDS[raw["event"]]
        hints, plain = _hints(raw["event"])
        fields = {}
        for key, value in raw.items():
            if key in hints:
                if type(value) is not plain[key] and not _fits(value, hints[key]):
                    return Unknown(line)
                fields[key] = value
        return kind(**fields)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return Unknown(line)
