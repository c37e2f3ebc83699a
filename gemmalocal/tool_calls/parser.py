"""What a model said, taken apart into text and calls of tools; nothing that it says is an error.

Each call is read by its grammar, quoted texts and nested values included. What is no whole call stays text, and `fault`
says why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gemmalocal.records import ToolCall
from gemmalocal.tool_calls.grammars import GRAMMARS, Grammar

DEEPEST = 64  # levels of values in each other
NAME = re.compile(r"\s*call:\s*([^\s{}:,<>]{1,256})\s*")
BARE = re.compile(r"[^,{}\[\]]*")
KEY = re.compile(r"[^:{}\[\],]{1,1024}")
NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,300})(?:\.\d+)?(?:[eE][-+]?\d{1,4})?")
WORDS = {"true": True, "false": False, "null": None, "none": None}
WHITE = re.compile(r"\s*")


class Broken(Exception):
    """Text that is no call; the message says why, as a verb's phrase."""


class Unfinished(Broken):
    """Text that ends within a call."""


@dataclass(frozen=True)
class Parsed:
    """The `text` beside the `calls`; `fault` says what of it looks like a call and is none."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    fault: str = ""


def parse(text: str, grammar: Grammar | None = None) -> Parsed:
    """Take apart what was said, by a grammar, or by the one whose marks it has."""
    grammar = grammar or next((other for other in GRAMMARS if other.call_start in text), None)
    if grammar is None:
        return Parsed(text)
    parsed = _taken_apart(text, grammar)
    return Parsed(parsed.text, numbered(parsed.calls), parsed.fault)


def _taken_apart(text: str, grammar: Grammar) -> Parsed:
    """As `parse`, the calls with ids only where they were said with some."""
    parts, calls, fault, place = list[str](), list[ToolCall](), "", 0
    while (start := text.find(grammar.call_start, place)) >= 0:
        parts.append(text[place:start])
        try:
            call, place = call_at(text, start, grammar)
            calls.append(call)
        except Broken as problem:
            fault = fault or str(problem)
            place = start + len(grammar.call_start)
            parts.append(grammar.call_start)
    rest = text[place:]
    if calls and grammar.within:  # the mark before a tool's answer only ends what was said
        rest = rest.removesuffix(grammar.answer_start)
    said = "".join([*parts, rest])
    return Parsed(said.strip() if calls else said, tuple(calls), fault)


def numbered(calls: Sequence[ToolCall], first: int = 0) -> tuple[ToolCall, ...]:
    """Calls with ids, where they have none."""
    return tuple(
        call if call.id else ToolCall(call.name, call.arguments, f"call_{number}")
        for number, call in enumerate(calls, first)
    )


def call_at(text: str, start: int, grammar: Grammar) -> tuple[ToolCall, int]:
    """The call whose mark is at `start`, and where it ends; raises `Broken`, and `Unfinished` where the text ends."""
    place = start + len(grammar.call_start)
    call, place = _json_call(text, place, grammar) if not grammar.quote else _call(text, place, grammar.quote)
    place = _white(text, place)
    if not text.startswith(grammar.call_end, place):
        if grammar.call_end.startswith(text[place:]):
            raise Unfinished(f"ends within a call of {call.name}")
        raise Broken(f"has a call of {call.name} that goes on after its arguments")
    return call, place + len(grammar.call_end)


def _json_call(text: str, place: int, grammar: Grammar) -> tuple[ToolCall, int]:
    place = _white(text, place)
    try:
        value, place = json.JSONDecoder(parse_constant=lambda constant: None).raw_decode(text, place)
    except (ValueError, RecursionError) as error:
        if grammar.call_end not in text[place:]:
            raise Unfinished("ends within a call") from error
        raise Broken("has a call that is no JSON") from error
    return call_of(value), place


def call_of(value: Any) -> ToolCall:
    """A call that was written as JSON: OpenAI's, with its `function`, or bare; raises `Broken`."""
    if not isinstance(value, dict):
        raise Broken("has a call that is no object")
    inner = value["function"] if isinstance(value.get("function"), dict) else value
    name = inner.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Broken("has a call without a name")
    named = ("arguments", "parameters", "args")
    arguments: Any = next((inner[key] for key in named if inner.get(key) is not None), {})
    if isinstance(arguments, str):
        arguments = _decoded(arguments, name) if arguments.strip() else {}
    if not isinstance(arguments, dict):
        raise Broken(f"has a call of {name} whose arguments are no object")
    call_id = value.get("id")
    return ToolCall(name, dumped(arguments), call_id if isinstance(call_id, str) else "")


def _decoded(arguments: str, name: str) -> Any:
    try:
        return json.loads(arguments, parse_constant=lambda constant: None)
    except (ValueError, RecursionError) as error:
        raise Broken(f"has a call of {name} whose arguments are no JSON") from error


def dumped(value: Any) -> str:
    """A value as JSON; raises `Broken` for one that is nested too deeply, or has an infinite number."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str, allow_nan=False)
    except (RecursionError, ValueError) as error:
        raise Broken("has arguments that JSON cannot hold") from error


def _call(text: str, place: int, quote: str) -> tuple[ToolCall, int]:
    match = NAME.match(text, place)
    if match is None:
        if "{" not in text[place:] and len(text) - place < 300:
            raise Unfinished("ends within a call")
        raise Broken("has a call without a name")
    if not text.startswith("{", match.end()):
        if match.end() >= len(text):
            raise Unfinished(f"ends within a call of {match[1]}")
        raise Broken(f"has a call of {match[1]} without arguments in braces")
    arguments, place = _object(text, match.end(), quote, 0)
    return ToolCall(match[1], dumped(arguments)), place


def _value(text: str, place: int, quote: str, depth: int) -> tuple[Any, int]:
    if depth > DEEPEST:
        raise Broken("has arguments that are nested too deeply")
    place = _white(text, place)
    if text.startswith(quote, place):
        return _quoted(text, place, quote)
    if text.startswith("{", place):
        return _object(text, place, quote, depth)
    if text.startswith("[", place):
        return _list(text, place, quote, depth)
    match = BARE.match(text, place)
    bare = match[0].strip() if match else ""
    end = match.end() if match else place
    if end == len(text):
        raise Unfinished("ends within a call")
    if quote in bare:
        raise Broken("has a text in quotes beside another value")
    return _bare(bare), end


def _bare(word: str) -> Any:
    """A value that stands without quotes: a number, true, false, null, or (a fault of small models) a text."""
    if word.lower() in WORDS:
        return WORDS[word.lower()]
    if NUMBER.fullmatch(word):
        number = json.loads(word)
        return number if number not in (float("inf"), float("-inf")) else word
    return word


def _quoted(text: str, place: int, quote: str) -> tuple[str, int]:
    begin = place + len(quote)
    end = text.find(quote, begin)
    if end < 0:
        raise Unfinished("ends within a text in quotes")
    return text[begin:end], end + len(quote)


def _object(text: str, place: int, quote: str, depth: int) -> tuple[dict[str, Any], int]:
    values: dict[str, Any] = {}
    place = _white(text, place + 1)
    if text.startswith("}", place):
        return values, place + 1
    while True:
        key, place = _key(text, place, quote)
        values[key], place = _value(text, place, quote, depth + 1)
        closed, place = _next(text, place, "}")
        if closed:
            return values, place


def _key(text: str, place: int, quote: str) -> tuple[str, int]:
    """A key, and the place behind its colon."""
    place = _white(text, place)
    if text.startswith(quote, place):
        key, place = _quoted(text, place, quote)
    elif match := KEY.match(text, place):
        key, place = match[0].strip(), match.end()
    elif place >= len(text):
        raise Unfinished("ends within a call")
    else:
        raise Broken("has an argument without a name")
    place = _white(text, place)
    if place >= len(text):
        raise Unfinished("ends within a call")
    if text[place] != ":" or quote in key:
        raise Broken(f"has no value for the argument '{key[:40]}'")
    return key, place + 1


def _list(text: str, place: int, quote: str, depth: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    place = _white(text, place + 1)
    if text.startswith("]", place):
        return values, place + 1
    while True:
        value, place = _value(text, place, quote, depth + 1)
        values.append(value)
        closed, place = _next(text, place, "]")
        if closed:
            return values, place


def _next(text: str, place: int, end: str) -> tuple[bool, int]:
    """Pass over a comma, or over the end; whether it was the end."""
    place = _white(text, place)
    if place >= len(text):
        raise Unfinished("ends within a call")
    if text[place] not in (",", end):
        raise Broken("has arguments that are not apart by commas")
    return text[place] == end, place + 1


def _white(text: str, place: int) -> int:
    match = WHITE.match(text, place)
    return match.end() if match else place


def answer_end(text: str, start: int, grammar: Grammar) -> int:
    """Where a tool's answer ends whose mark is at `start`; the marks of a text within its quotes do not end it."""
    brace = text.find("{", start)
    try:
        _, place = _object(text, brace, grammar.quote, 0) if brace >= 0 else ({}, start)
    except Broken:
        place = start
    end = text.find(grammar.answer_end, place)
    return len(text) if end < 0 else end + len(grammar.answer_end)


@dataclass
class Splitter:
    """Text as it comes, in pieces, taken apart: text that is surely none of a call's goes on, calls come whole."""

    grammar: Grammar
    held: str = ""
    calls: int = 0
    behind: bool = False  # a call

    def __call__(self, text: str, last: bool = False) -> tuple[str, tuple[ToolCall, ...]]:
        """What may be said by now, and the calls that have ended; all that is left when it was the `last`."""
        self.held += text
        if last:
            parsed = _taken_apart(self.held, self.grammar)
            calls, self.held = self._counted(parsed.calls), ""
            said = parsed.text if not self.calls or parsed.text.strip(" \n") else ""
            return said.removesuffix(self.grammar.answer_start) if self.calls else said, calls
        said, calls_made = "", list[ToolCall]()
        for piece in self._ready(text):
            if isinstance(piece, str):
                said += piece
            else:
                calls_made.append(piece)
        return said, self._counted(calls_made)

    def _ready(self, new: str) -> Iterator[str | ToolCall]:
        """What of the held text is decided."""
        while (start := self.held.find(self.grammar.call_start)) >= 0:
            if start:
                yield self.held[:start]
                self.held = self.held[start:]
            if self.grammar.call_end not in self.held:
                return
            try:
                call, end = call_at(self.held, 0, self.grammar)
            except Unfinished:
                return
            except Broken:
                end = len(self.grammar.call_start)
                yield self.held[:end]
            else:
                self.behind = True
                yield call
            self.held = self.held[end:]
        end = len(self.held) - _begun(self.held, self.grammar.call_start)
        if self.behind:  # white space between calls, and the mark behind them, are no text
            end = min(end, len(self.held) - _begun(self.held, self.grammar.answer_start))
            end = end if self.held[:end].strip() else 0
        if end:
            yield self.held[:end]
            self.held = self.held[end:]

    def _counted(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        first = self.calls
        self.calls += len(calls)
        return numbered(calls, first)


def _begun(text: str, mark: str) -> int:
    """How many letters at the end may be the beginning of a mark, or are the mark."""
    return next((count for count in range(min(len(text), len(mark)), 0, -1) if text.endswith(mark[:count])), 0)
