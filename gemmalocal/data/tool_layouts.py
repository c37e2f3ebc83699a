"""Rows of calls in columns of their own: xLAM's `query`, `tools` and `answers`, and Glaive's `system` and `chat`."""

from __future__ import annotations

import re
from typing import Any

from gemmalocal.data import cells, tool_rows
from gemmalocal.data.cells import Columns, UnusableRow
from gemmalocal.documents.json_values import QUICK
from gemmalocal.records import Message, ToolCall, ToolUse
from gemmalocal.tool_calls import parser

XLAM, XLAM_CALLS = ("query", "question", "instruction"), "answers"
GLAIVE, GLAIVE_TURN = "chat", re.compile(r"(?:\A|\n)\s*(USER|ASSISTANT|FUNCTION RESPONSE):[ \t]*")
GLAIVE_CALL = "<functioncall>"
END = "<|endoftext|>"
QUOTED = re.compile(r"\"arguments\"\s*:\s*'(.*)'\s*}\s*\Z", re.DOTALL)  # Glaive's arguments, in single quotes
FUNCTIONS = re.compile(r"(?=\{\s*\"name\")")


def is_xlam(columns: Columns) -> bool:
    """Whether a row has xLAM's columns."""
    return XLAM_CALLS in columns and bool(tool_rows.column(columns)) and any(name in columns for name in XLAM)


def is_glaive(columns: Columns) -> bool:
    """Whether a row has Glaive's columns: a conversation in one text."""
    value = columns.get(GLAIVE)
    return isinstance(value, str) and GLAIVE_TURN.match(value) is not None


def xlam(columns: Columns) -> list[Message]:
    """A question and the calls that answer it."""
    name = next(name for name in XLAM if name in columns)
    calls = tool_rows.calls_in(columns[XLAM_CALLS])
    if not calls:
        raise UnusableRow(f"has no call in '{XLAM_CALLS}'")
    return [Message("user", cells.content(columns, name)), Message("assistant", "", tool_use=ToolUse(calls))]


def glaive(columns: Columns) -> list[Message]:
    """The turns of a conversation in one text; the system's text is only tools."""
    _, *parts = GLAIVE_TURN.split(columns[GLAIVE])
    return [_glaive_turn(who, said.replace(END, "").strip()) for who, said in zip(parts[::2], parts[1::2], strict=True)]


def _glaive_turn(who: str, said: str) -> Message:
    if who == "USER":
        return Message("user", said)
    if who != "ASSISTANT":
        return Message("tool", said, tool_use=ToolUse())
    text, mark, call = said.partition(GLAIVE_CALL)
    if not mark:
        if not said:
            raise UnusableRow("has an empty message in 'chat', of the assistant")
        return Message("assistant", said)
    return Message("assistant", text.strip(), tool_use=ToolUse((_glaive_call(call.strip()),)))


def _glaive_call(text: str) -> ToolCall:
    """A call whose arguments are JSON in single quotes."""
    inner = QUOTED.search(text)
    value: Any
    try:
        if inner is not None:
            value, _ = QUICK.raw_decode(text[: inner.start()].rstrip().rstrip(",") + "}")
            value["arguments"] = inner[1].replace("\\'", "'")
        else:
            value, _ = QUICK.raw_decode(text)
        return parser.call_of(value)
    except (ValueError, RecursionError, TypeError) as error:
        raise UnusableRow("has a call that is no JSON") from error
    except parser.Broken as problem:
        raise UnusableRow(str(problem)) from problem


def glaive_tools(columns: Columns) -> list[Any]:
    """The tools that the system's text names one after another."""
    system = str(columns.get("system") or "")
    tools, place = [], 0
    while match := FUNCTIONS.search(system, place):
        try:
            tool, place = QUICK.raw_decode(system, match.start())
        except (ValueError, RecursionError) as error:
            raise UnusableRow("has a tool that is no JSON in 'system'") from error
        tools.append(tool)
    return tools


def glaive_system(columns: Columns) -> str:
    """A system's text that declares no tools; "" of one that does."""
    system = str(columns.get("system") or "")
    return "" if FUNCTIONS.search(system) else system.strip().removeprefix("SYSTEM:").strip()
