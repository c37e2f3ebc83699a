"""Rows to records: the shape is detected, named, and can be set."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Any

from gemmalocal.errors import DatasetError
from gemmalocal.records import ROLES, Message, Record

Columns = Mapping[str, Any]
ROLE_NAMES = {"human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant"}
PAIRS = (("prompt", "completion"), ("prompt", "response"), ("question", "answer"))


class Unusable(Exception):
    """A row that does not have the shape it should have; the message says why."""


def detect(columns: Columns) -> str:
    """The name of a row's shape; raises `DatasetError` if none fits."""
    if "messages" in columns or "conversations" in columns:
        return "chat"
    if "instruction" in columns and ("output" in columns or "response" in columns):
        return "instruction"
    if any(prompt in columns and completion in columns for prompt, completion in PAIRS):
        return "prompt"
    if "text" in columns:
        return "text"
    names = ", ".join(map(str, columns))
    raise DatasetError(
        f"The columns {names} are of no known shape.", "Say how they become text with data.template, as '{column}'."
    )


def reader(shape: str, template: Any) -> Callable[[str, Columns], Record]:
    """A function of (source, columns) to a record; it raises `Unusable`. A template wins over the shape."""
    if isinstance(template, str):
        return lambda source, columns: Record(source, text=fill(template, columns))
    if template is not None:
        return lambda source, columns: _pair(source, fill(template.prompt, columns), fill(template.completion, columns))
    return {"chat": _chat, "prompt": _prompt, "instruction": _instruction, "text": _text}[shape]


def fill(template: str, columns: Columns) -> str:
    """Put a row's columns into a template; raises `Unusable` for a column that is missing or empty."""
    values = {name: _string(columns, name) for _, name, _, _ in string.Formatter().parse(template) if name}
    return template.format_map(values)


def _string(columns: Columns, name: str) -> str:
    value = columns.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Unusable(f"has no text in '{name}'")
    if not value.strip():
        raise Unusable(f"'{name}' is empty")
    return value


def _pair(source: str, prompt: str, completion: str) -> Record:
    return Record(source, (Message("user", prompt), Message("assistant", completion)))


def _prompt(source: str, columns: Columns) -> Record:
    for prompt, completion in PAIRS:
        if prompt in columns and completion in columns:
            return _pair(source, _string(columns, prompt), _string(columns, completion))
    raise Unusable("has no prompt and completion")


def _instruction(source: str, columns: Columns) -> Record:
    question = _string(columns, "instruction")
    if isinstance(extra := columns.get("input"), str) and extra.strip():
        question = f"{question}\n\n{extra}"
    return _pair(source, question, _string(columns, "output" if "output" in columns else "response"))


def _text(source: str, columns: Columns) -> Record:
    return Record(source, text=_string(columns, "text"))


def _chat(source: str, columns: Columns) -> Record:
    turns = columns.get("messages") or columns.get("conversations")
    if not isinstance(turns, list) or not turns:
        raise Unusable("has no messages")
    messages = []
    for turn in turns:
        if not isinstance(turn, dict):
            raise Unusable("has a message that is no object")
        role = str(turn.get("role") or turn.get("from"))
        role = ROLE_NAMES.get(role, role)
        if role not in ROLES:
            raise Unusable(f"has a message of an unknown role '{role}'")
        messages.append(Message(role, _string(turn, "content" if "content" in turn else "value")))
    if not any(message.role == "assistant" for message in messages):
        raise Unusable("has no assistant message to learn from")
    return Record(source, tuple(messages))
