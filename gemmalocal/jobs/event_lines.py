"""Events as the lines of `events.jsonl`: written so that any text can be, and read without ever raising."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from types import NoneType, UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from gemmalocal.jobs.events import KINDS, Event, Unknown
from gemmalocal.jobs.terminal_text import as_json

LARGEST = 2**63  # of a number in an event: far more than any count
PLAIN: dict[Any, frozenset[type]] = {
    int: frozenset({int}), float: frozenset({int, float}), bool: frozenset({bool}), str: frozenset({str}),
    NoneType: frozenset({NoneType}),
}  # fmt: skip


class Field(NamedTuple):
    """The type of an event's field, and the types of values that need no second look, which takes time."""

    hint: Any
    plain: frozenset[type]


@cache
def _fields(event: str) -> dict[str, Field]:
    """By name; of a union its plain parts."""
    hints = get_type_hints(KINDS[event])
    parts = {name: get_args(hint) if get_origin(hint) is UnionType else (hint,) for name, hint in hints.items()}
    none: frozenset[type] = frozenset()
    return {name: Field(hints[name], none.union(*(PLAIN.get(part, none) for part in parts[name]))) for name in hints}


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
    return any(_fits(value, part) for part in parts)


def encode(event: Event, at: float) -> str:
    """One line of JSON, without the newline; any text can be written, and is read back as it was."""
    return as_json({"event": type(event).__name__.lower(), "at": round(at, 3), **asdict(event)})


def decode(line: str) -> Event:
    """The event of a line; never raises, a line that is not understood is `Unknown`. Extra keys are ignored."""
    try:
        raw = json.loads(line)
        kind = KINDS[raw["event"]]
        of_kind, fields = _fields(raw["event"]), {}
        for key, value in raw.items():
            if (field := of_kind.get(key)) is not None:
                is_plain = type(value) in field.plain and (type(value) is not int or -LARGEST < value < LARGEST)
                if not is_plain and not _fits(value, field.hint):
                    return Unknown(line)
                fields[key] = value
        return kind(**fields)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return Unknown(line)
