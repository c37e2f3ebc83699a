"""Answers that are tool calls, as JSON: whether the same tools are called, and with the same arguments.

A call is an object with a `name` and its `arguments` (or `parameters`), which may be a text of JSON, as OpenAI's
protocol has it; or that in `function`. Several are a list, or the list in `tool_calls`. Anything else is no call.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from gemmalocal.evaluation.json_values import leaves, parsed

REMEMBERED = 1024  # texts: each answer is compared with many references
ARGUMENTS = ("arguments", "parameters")
Leaf = tuple[tuple[str | int, ...], str]


class Call(NamedTuple):
    """A tool's name, and its arguments as leaves of JSON: ways to values, and values."""

    name: str
    arguments: frozenset[Leaf]


@lru_cache(REMEMBERED)
def calls(text: str) -> tuple[Call, ...]:
    """The calls that a text is, in their order; none if it is not all calls."""
    value = parsed(text)
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    items = value if isinstance(value, list) else [value]
    made = [_call(item) for item in items]
    return tuple(call for call in made if call is not None) if None not in made else ()


def _call(item: Any) -> Call | None:
    if isinstance(item, dict) and isinstance(item.get("function"), dict):
        item = item["function"]
    if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"]:
        return None
    arguments = next((item[key] for key in ARGUMENTS if key in item), None)
    if isinstance(arguments, str):
        arguments = parsed(arguments) if arguments.strip() else {}
    if not isinstance(arguments, dict):
        return None
    return Call(item["name"], frozenset(leaves(arguments)) if arguments else frozenset())


def same_calls(answer: str, reference: str) -> bool:
    """Whether the same tools are called with the same arguments; in which order does not count."""
    wanted = calls(reference)
    return bool(wanted) and _sorted(calls(answer)) == _sorted(wanted)


def _sorted(made: tuple[Call, ...]) -> list[tuple[str, list[str]]]:
    return sorted((call.name, sorted(map(repr, call.arguments))) for call in made)


def valid_call(answer: str, reference: str) -> float:
    """1 if the answer is a call, or several, else 0."""
    return float(bool(calls(answer)))


def same_names(answer: str, reference: str) -> float:
    """1 if the same tools are called, as often, else 0."""
    wanted = sorted(call.name for call in calls(reference))
    return float(bool(wanted) and sorted(call.name for call in calls(answer)) == wanted)


def argument_f1(answer: str, reference: str) -> float:
    """How many arguments are right, by their tools, keys and values: F1; 1 if there are none to give."""
    given, wanted = (_arguments(calls(text)) for text in (answer, reference))
    if not given and not wanted:
        return same_names(answer, reference)
    return 2 * len(given & wanted) / (len(given) + len(wanted))


def _arguments(made: tuple[Call, ...]) -> set[tuple[str, Leaf]]:
    return {(call.name, leaf) for call in made for leaf in call.arguments}


SHARES = {"valid calls": valid_call, "the right tools": same_names, "F1 of arguments": argument_f1}
