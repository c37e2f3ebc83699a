"""Conversations, as the many programs write them, to messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from gemmalocal.data import cells, tool_rows
from gemmalocal.data.cells import Columns, UnusableRow
from gemmalocal.data.remarks import HEAVY, TRAILS, Remarks
from gemmalocal.documents.document import Unreadable
from gemmalocal.documents.json_values import decode
from gemmalocal.records import ROLES, Message, ToolUse

CONVERSATIONS = ("messages", "conversations", "conversation", "contents", "dialog", "dialogue", "turns", "chat")
PLAIN, SAID = CONVERSATIONS[:2], CONVERSATIONS[2:]  # the first two mean nothing else
SYSTEM = ("system", "system_prompt", "system_message", "system_instruction", "systemInstruction")
WEIGHTS = ("weight", "train", "loss")  # OpenAI's, Axolotl's and ms-swift's name
SPEAKERS, CONTENTS = ("role", "from", "speaker", "author"), ("content", "value", "text", "parts", "message")
KEYS = {*SPEAKERS, *CONTENTS, *WEIGHTS}
ROLE_NAMES = {
    **dict.fromkeys(("human", "prompter"), "user"),
    **dict.fromkeys(("gpt", "model", "bot", "ai", "chatgpt"), "assistant"),
    "developer": "system",
    **dict.fromkeys(tool_rows.ANSWERERS, "tool"),
}
REPLYING = {"assistant", *tool_rows.CALLERS}
BETWEEN = "\n\n"  # turns that are merged


def conversation_column(columns: Columns) -> str:
    """The column that holds a conversation; "" if none does."""
    return next((name for name in CONVERSATIONS if name in columns and (name in PLAIN or _several(columns[name]))), "")


def _several(value: Any) -> bool:
    return (isinstance(value, (list, dict)) and bool(value)) or (isinstance(value, str) and value.lstrip()[:1] == "[")


def turns_in(value: Any) -> list[Any]:
    """The turns in a cell: a list, one written as JSON, or columns of them; empty if it is none of these."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = decode(value)
        except Unreadable as problem:
            raise UnusableRow(f"has messages as text: it {problem}") from problem
    if isinstance(value, dict):
        columns = {key: values for key, values in value.items() if isinstance(values, list)}
        if len({len(values) for values in columns.values()}) == 1:
            value = [dict(zip(columns, turn, strict=True)) for turn in zip(*columns.values(), strict=True)]
    return value if isinstance(value, list) else []


def is_turns(value: Any) -> bool:
    """Whether a cell holds a list of messages, and no text."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and _key(turn, SPEAKERS) for turn in value)
    )


def messages(turns: Sequence[Any], remarks: Remarks, learned: bool = True) -> Iterator[Message]:
    """Each turn as a message; an empty system message is none. Raises `UnusableRow`."""
    for turn in turns:
        if not isinstance(turn, dict):
            raise UnusableRow("has a message that is not an object")
        role_name = str(turn.get(_key(turn, SPEAKERS) or "role"))
        role = ROLE_NAMES.get(role_name.lower(), role_name.lower())
        if role not in ROLES and role not in tool_rows.CALLERS:
            raise UnusableRow(f"has a message of an unknown role: '{role_name}'")
        name = _key(turn, CONTENTS) or "content"
        if role == "system" and cells.is_missing(turn.get(name)):
            continue
        weight = weight_of(turn, remarks) if role in REPLYING and learned else 1.0
        more = turn.keys() - KEYS
        calls = bool(more) and _calls(turn, more, role, remarks)
        if calls or role == "tool" or role in tool_rows.CALLERS:
            yield tool_rows.message(turn, role, turn.get(name), learned and weight > 0, weight)
            continue
        yield Message(role, cells.content(turn, name), role != "assistant" or (learned and weight > 0), weight)


def _calls(turn: Columns, more: set[str], role: str, remarks: Remarks) -> bool:
    """Whether a turn calls tools, by its keys beside role and content; those that are not used are counted."""
    keys = {key for key in more if not cells.is_missing(turn[key])}
    used = keys & {tool_rows.CALLS, tool_rows.CALL} if role == "assistant" else set[str]()
    beside = set(tool_rows.THOUGHTS) if used else tool_rows.KEYS | {"id"} if role == "tool" else set[str]()
    for key in sorted(keys - used - beside):
        remarks.unused(f"messages.{key}")
    return bool(used)


def weight_of(columns: Columns, remarks: Remarks) -> float:
    """By how much a row, or a reply, is to be learned, from 0 to 1; what is above 1 is said to count as 1."""
    weight = 1.0
    for name in WEIGHTS:
        if name in columns and (given := cells.number(columns[name])) is not None:
            if given > 1:
                remarks.odd(HEAVY, f"{name}: {columns[name]}")
            weight = min(weight, max(0.0, given))
    return weight


def conversation(messages: Sequence[Message], remarks: Remarks, merge: bool) -> tuple[Message, ...]:
    """Messages that a model's template takes: a system message first, then turns; raises `UnusableRow`."""
    if not messages:
        raise UnusableRow("has no list of messages")
    turns = tuple(merged(messages)) if merge else tuple(messages)
    roles = [message.role for message in turns]
    talk = roles[1:] if roles[0] == "system" else roles
    if "assistant" not in roles:
        raise UnusableRow("has no assistant message to learn from")
    if "system" in talk:
        raise UnusableRow("has a system message that is not the first")
    if talk[0] != "user":
        raise UnusableRow("has an assistant message before any user's")
    _check_order(talk)
    if not any(message.learned for message in turns if message.role == "assistant"):
        raise UnusableRow("has a weight of 0, so that nothing of it is trained on")
    if talk[-1] != "assistant":
        remarks.odd(TRAILS, turns[-1].content)
    for turn in turns:
        if turn.tool_use is not None:
            return tool_rows.linked(turns)
    return turns


def _check_order(roles: Sequence[str]) -> None:
    """Raise `UnusableRow` for a turn that cannot follow the one before it; several tools may answer."""
    repeated = (role for role, following in zip(roles, roles[1:], strict=False) if role == following != "tool")
    if role := next(repeated, None):
        raise UnusableRow(f"has two {role} messages in a row (data.merge_turns makes one of them)")
    for role, following in pairwise(roles) if "tool" in roles else ():
        if (role, following) == ("tool", "user"):
            raise UnusableRow("has a tool's answer that the assistant does not go on from")
        if (role, following) == ("user", "tool"):
            raise UnusableRow("has a tool's answer to a user's message")


def with_system(columns: Columns, messages: Sequence[Message], remarks: Remarks) -> Sequence[Message]:
    """Messages under the row's own system message, if it has one in a column of its own."""
    name = next((name for name in SYSTEM if name in columns and not cells.is_missing(columns[name])), None)
    if name is None:
        return messages
    if messages and messages[0].role == "system":
        remarks.unused(name)
        return messages
    return [Message("system", cells.content(columns, name)), *messages]


def merged(messages: Sequence[Message]) -> Iterator[Message]:
    """Turns of one role in a row as one; raises `UnusableRow`."""
    current: Message | None = None
    for message in messages:
        if current is None or message.role != current.role:
            if current:
                yield current
            current = message
        elif message.role == "tool":
            yield current
            current = message
        elif message.learned != current.learned or message.weight != current.weight:
            raise UnusableRow(f"has {message.role} messages in a row of different weights")
        else:
            content = BETWEEN.join(filter(None, (current.content, message.content)))
            calls = current.calls + message.calls
            use = replace(current.tool_use or message.tool_use or ToolUse(), calls=calls) if calls else None
            current = replace(current, content=content, tool_use=use)
    if current:
        yield current


def _key(turn: Columns, keys: Sequence[str]) -> str | None:
    return next((key for key in keys if key in turn), None)
