"""Calls that do not fit the tools that a row declares, and answers of tools that nobody called."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from gemmalocal.records import Message, Record, ToolCall

UNDECLARED = "calls a tool that its row does not declare"
UNFIT = "has a call whose arguments break the tool's schema"
UNASKED = "has a tool's answer without a call"
UNANSWERED = "goes on after a call that no tool answered"
BAD_SCHEMA = "declares a tool whose schema is no JSON schema"
QUOTED = 60  # characters of a value that are shown


def problems(record: Record) -> Iterator[tuple[str, str]]:
    """Each kind of problem with a row's tools, and an example of it."""
    if not record.tools and not any(turn.tool_use for turn in record.messages):
        return
    told = set[str]()
    for kind, example in _all(record):
        if kind not in told:
            told.add(kind)
            yield kind, example


def _all(record: Record) -> Iterator[tuple[str, str]]:
    validators = _validators(record.tools)
    for name, validator in validators.items():
        if isinstance(validator, str):
            yield BAD_SCHEMA, f"{name}: {validator}"
    waiting = set[str]()
    for turn in record.messages:
        for call in turn.calls:
            yield from _unfit(call, validators)
        if turn.role == "tool" and not _answers(turn, waiting):
            yield UNASKED, turn.content
        elif turn.role == "user" and waiting:
            yield UNANSWERED, turn.content
            waiting.clear()
        waiting |= {call.id for call in turn.calls}


def _answers(turn: Message, waiting: set[str]) -> bool:
    call_id = turn.tool_use.call_id if turn.tool_use else ""
    asked = call_id in waiting
    waiting.discard(call_id)
    return asked


def _unfit(call: ToolCall, validators: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if call.name not in validators:
        yield UNDECLARED, call.name
        return
    validator = validators[call.name]
    if validator is None or isinstance(validator, str):
        return
    from referencing.exceptions import Unresolvable

    try:
        error = next(validator.iter_errors(call.values), None)
    except (Unresolvable, RecursionError, re.error) as problem:
        yield BAD_SCHEMA, f"{call.name}: {str(problem)[:QUOTED]}"
        return
    if error is not None:
        place = ".".join([call.name, *map(str, error.absolute_path)])
        yield UNFIT, f"{place}: {error.message[:QUOTED]}"


@lru_cache(256)
def _validators(tools: str) -> dict[str, Any]:
    """For each tool what looks at its arguments; None where nothing is declared, a text where that is no schema."""
    functions = [tool["function"] for tool in json.loads(tools or "[]")]
    return {function["name"]: _validator(function.get("parameters")) for function in functions}


def _validator(schema: Any) -> Any:
    if not isinstance(schema, dict) or not schema:
        return None
    from jsonschema import Draft202012Validator, SchemaError

    small = _small_types(schema)
    try:
        Draft202012Validator.check_schema(small)
    except SchemaError as error:
        return str(error.message)[:QUOTED]
    return Draft202012Validator(small)


def _small_types(schema: Any) -> Any:
    """A schema with its types in small letters, which Google writes in capitals; what refers outwards is left out."""
    if isinstance(schema, list):
        return [_small_types(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, str):
            made[key] = value.lower()
        elif key != "$ref" or str(value).startswith("#"):
            made[key] = _small_types(value)
    return made
