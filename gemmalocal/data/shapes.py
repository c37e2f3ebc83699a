"""Rows to records: the shape is detected, named, and can be set."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from typing import Any

from gemmalocal.recipe import PromptTemplate
from gemmalocal.records import ROLES, Message, Record

Columns = Mapping[str, Any]
Reader = Callable[[str, Columns], Record]
ROLE_NAMES = {"human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant"}
LINE = "\n"  # between a question and its answer, for a model without a chat template
PAIRS = (("prompt", "completion"), ("prompt", "response"), ("question", "answer"))


class Unusable(Exception):
    """A row that does not have the shape it should have; the message says why, as a verb's phrase."""


def detect(columns: Columns) -> str:
    """The name of a row's shape; raises `Unusable` if none fits."""
    if "messages" in columns or "conversations" in columns:
        return "chat"
    if "instruction" in columns and ("output" in columns or "response" in columns):
        return "instruction"
    if any(prompt in columns and completion in columns for prompt, completion in PAIRS):
        return "prompt"
    if "text" in columns:
        return "text"
    raise Unusable(f"has columns of no known shape (data.template makes text of any): {_names(columns)}")


def reader(shape: str, template: str | PromptTemplate | None) -> Reader:
    """A function of (source, columns) to a record; it raises `Unusable`. A template wins over the shape."""
    if isinstance(template, str):
        whole = _filler(template)
        return lambda source, columns: Record(source, text=whole(columns))
    if template is not None:
        prompt, completion = _filler(template.prompt), _filler(template.completion)
        return lambda source, columns: _pair(source, prompt(columns), completion(columns))
    return {"chat": _chat, "prompt": _prompt, "instruction": _instruction, "text": _text}[shape]


def _filler(template: str) -> Callable[[Columns], str]:
    """A function that puts a row's columns into a template; a name is a column as it is, dots and all."""
    parts = [(literal, name) for literal, name, _, _ in string.Formatter().parse(template)]

    def fill(columns: Columns) -> str:
        return "".join(literal + (_string(columns, name) if name else "") for literal, name in parts)

    return fill


def _string(columns: Columns, name: str) -> str:
    value = columns.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        if not value.strip():
            raise Unusable(f"has nothing in '{name}'")
        return value
    if name not in columns:
        raise Unusable(f"has no '{name}': it has {_names(columns)}")
    raise Unusable(f"has no text in '{name}': it is {type(value).__name__ if value is not None else 'null'}")


def _names(columns: Columns) -> str:
    return ", ".join(list(map(str, columns))[:12])[:200] or "none"


def _pair(source: str, prompt: str, completion: str, between: str = "") -> Record:
    return Record(source, (Message("user", prompt), Message("assistant", completion)), between=between)


def _prompt(source: str, columns: Columns) -> Record:
    fitting = [pair for pair in PAIRS if pair[0] in columns] or [PAIRS[0]]
    prompt, completion = next((pair for pair in fitting if pair[1] in columns), fitting[0])
    return _pair(source, _string(columns, prompt), _string(columns, completion))


def _instruction(source: str, columns: Columns) -> Record:
    question = _string(columns, "instruction")
    if isinstance(extra := columns.get("input"), str) and extra.strip():
        question = f"{question}\n\n{extra}"
    return _pair(source, question, _string(columns, "output" if "output" in columns else "response"), LINE)


def _text(source: str, columns: Columns) -> Record:
    return Record(source, text=_string(columns, "text"))


def _chat(source: str, columns: Columns) -> Record:
    turns = columns.get("messages") or columns.get("conversations")
    if not isinstance(turns, list) or not turns:
        raise Unusable("has no list of messages")
    messages = tuple(_message(turn) for turn in turns)
    roles = [message.role for message in messages]
    talk = roles[1:] if roles[0] == "system" else roles
    if "assistant" not in roles:
        raise Unusable("has no assistant message to learn from")
    if "system" in talk:
        raise Unusable("has a system message that is not the first")
    if talk[0] != "user":
        raise Unusable("has an assistant message before any user's")
    if role := next((role for role, after in zip(talk, talk[1:], strict=False) if role == after), None):
        raise Unusable(f"has two {role} messages in a row (the models' templates want turns)")
    return Record(source, messages, between=LINE)


def _message(turn: Any) -> Message:
    if not isinstance(turn, dict):
        raise Unusable("has a message that is no object")
    role = str(turn.get("role") or turn.get("from"))
    role = ROLE_NAMES.get(role, role)
    if role not in ROLES:
        raise Unusable(f"has a message of an unknown role: '{role}'")
    return Message(role, _string(turn, "content" if "content" in turn else "value"))
