"""Answers that are tool calls: whether the same tools are called, and with the same arguments.

A call stands between the marks of a grammar that models have for it (`gemmalocal.tool_calls`), whatever text is beside
it; or all of the text is JSON: an object with a `name` and its `arguments` (or `parameters`), which may be a text of
JSON, as OpenAI's protocol has it; or that in `function`. Several are a list, or the list in `tool_calls`. Anything else
is no call, and is right where no call is due.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from gemmalocal.evaluation.json_values import leaves, parsed
from gemmalocal.tool_calls import parser
from gemmalocal.tool_calls.grammars import GRAMMARS

REMEMBERED = 1024  # texts: each answer is compared with many references
ARGUMENTS = ("arguments", "parameters")
Leaf = tuple[tuple[str | int, ...], str]


class Call(NamedTuple):
    """A tool's name, and its arguments as leaves of JSON: ways to values, and values."""

    name: str
    arguments: frozenset[Leaf]


@lru_cache(REMEMBERED)
def calls(text: str) -> tuple[Call, ...]:
    """The calls in a text, in their order; none where it has no marks of calls, and is not all calls."""
    if is_marked(text):
        return tuple(Call(call.name, _leaves(call.values)) for call in parser.parse(text).calls)
    value = parsed(text)
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    items = value if isinstance(value, list) else [value]
    made = [_call(item) for item in items]
    return tuple(call for call in made if call is not None) if None not in made else ()


def is_marked(text: str) -> bool:
    """Whether a text has the mark of a call: then it is meant as one."""
    return any(grammar.call_start in text for grammar in GRAMMARS)


def _leaves(arguments: dict[str, Any]) -> frozenset[Leaf]:
    return frozenset(leaves(arguments)) if arguments else frozenset()


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
    return Call(item["name"], _leaves(arguments))


def same_calls(answer: str, reference: str) -> bool:
    """Whether the same tools are called with the same arguments, in any order; and none where none is due."""
    return _sorted(calls(answer)) == _sorted(calls(reference))


def _sorted(made: tuple[Call, ...]) -> list[tuple[str, list[str]]]:
    return sorted((call.name, sorted(map(repr, call.arguments))) for call in made)


def call_where_due(answer: str, reference: str) -> float:
    """1 if the answer calls something where a call is due, and nothing where none is, else 0."""
    return float(bool(calls(answer)) == bool(calls(reference)))


def same_names(answer: str, reference: str) -> float:
    """1 if the same tools are called, as often, else 0."""
    given, wanted = (sorted(call.name for call in calls(text)) for text in (answer, reference))
    return float(given == wanted)


def argument_f1(answer: str, reference: str) -> float:
    """How many arguments are right, by their tools, keys and values: F1; 1 if there are none to give."""
    given, wanted = (_arguments(calls(text)) for text in (answer, reference))
    if not given and not wanted:
        return same_names(answer, reference)
    return 2 * len(given & wanted) / (len(given) + len(wanted))


def _arguments(made: tuple[Call, ...]) -> set[tuple[str, Leaf]]:
    return {(call.name, leaf) for call in made for leaf in call.arguments}


SHARES = {
    "a call where one is due, else none": call_where_due,
    "the right tools": same_names,
    "F1 of arguments": argument_f1,
}


class CallFigures(NamedTuple):
    """Of answers: how many call what they should; of those with a call that is `due`, the rest but `kept`.

    `named` call the right tools, `exact` with the right arguments too; `arguments` is the mean F1 of these by key.
    Of the `none_due` others, `kept` call nothing.
    """

    due: int
    exact: int
    named: int
    arguments: float
    none_due: int
    kept: int

    def __str__(self) -> str:
        said = f"{self.exact} of {self.due} calls exact, {self.named} name the right tools"
        said += f", arguments {100 * self.arguments:.0f} % right"
        return said + (f"; no call in {self.kept} of {self.none_due} where none is due" if self.none_due else "")


def figures(answers: Sequence[str], references: Sequence[str]) -> CallFigures:
    """What became of calls, answer by answer."""
    pairs = list(zip(answers, references, strict=True))
    due = [pair for pair in pairs if calls(pair[1])]
    others = [answer for answer, reference in pairs if not calls(reference)]
    return CallFigures(
        len(due),
        sum(same_calls(*pair) for pair in due),
        sum(same_names(*pair) == 1 for pair in due),
        sum(argument_f1(*pair) for pair in due) / len(due) if due else 1.0,
        len(others),
        sum(not calls(answer) for answer in others),
    )
