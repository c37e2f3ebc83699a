"""Drawn tools, calls and dialogues: nested arguments, quoting that hurts, several calls, several answers."""

from __future__ import annotations

import json
import random
from typing import Any

TEXTS = (
    "Paris", "", " a b ", "it's {not} a [call], is it: no", "call:x{a:1}", 'a "quoted" \\ one', "zwei\nZeilen",
    "日本語", "true", "12", "null", "<end>", "a,b:c}", "🙂", "</tool_call", "x" * 300,
)  # fmt: skip
KEYS = ("city", "unit", "when", "to_name", "max-results", "über", "Value", "a.b", "first name")
NAMES = ("get_weather", "send_email", "turn_on", "find.place", "add-event", "play", "stop", "note")


def value(lot: random.Random, depth: int = 0) -> Any:
    """A JSON value."""
    kind = lot.randrange(8 if depth < 4 else 5)
    if kind < 2:
        return lot.choice(TEXTS)
    if kind < 5:
        whole = lot.choice((0, -3, 12, 10**18)), lot.choice((0.5, -2.25, 1e-07, 3e22, 1.0))
        return (*whole, True, False, None)[lot.randrange(5)]
    if kind == 5:
        return [value(lot, depth + 1) for _ in range(lot.randrange(4))]
    return {key: value(lot, depth + 1) for key in lot.sample(KEYS, lot.randrange(4))}


def arguments(lot: random.Random) -> dict[str, Any]:
    """The arguments of a call; none is null, which a tool would have to allow."""
    drawn = {key: value(lot) for key in lot.sample(KEYS, lot.randrange(5))}
    return {key: it for key, it in drawn.items() if it is not None}


def tool(lot: random.Random, name: str) -> dict[str, Any]:
    """A declaration."""
    kinds = ("string", "integer", "number", "boolean", "array", "object")
    properties: dict[str, Any] = {key: {"type": lot.choice(kinds), "description": lot.choice(TEXTS)} for key in
                                  lot.sample(KEYS, lot.randrange(4))}  # fmt: skip
    for about in properties.values():
        if about["type"] == "array":
            about["items"] = {"type": lot.choice(kinds[:4])}
        elif about["type"] == "string" and lot.random() < 0.3:
            about["enum"] = ["one", "two"]
    schema = {"type": "object", "properties": properties, "required": list(properties)[:1]}
    return {"type": "function", "function": {"name": name, "description": "It does.", "parameters": schema}}


def dialogue(lot: random.Random, objects: bool) -> dict[str, Any]:
    """A row: perhaps a system's text, exchanges with calls and answers of tools; it may end with a call."""
    tools = [tool(lot, name) for name in lot.sample(NAMES, lot.randrange(1, 4))]
    names = [one["function"]["name"] for one in tools]
    messages: list[dict[str, Any]] = []
    if lot.random() < 0.5:
        messages.append({"role": lot.choice(("system", "developer")), "content": "Be kind."})
    for _ in range(lot.randrange(1, 4)):
        messages.append({"role": "user", "content": f"Do {lot.choice(TEXTS).strip() or 'it'} ."})
        if lot.random() < 0.8:
            messages += _called(lot, names, len(messages), objects)
        messages.append({"role": "assistant", "content": lot.choice(("Done.", "It is so.", "Zwei\n\nZeilen"))})
    if lot.random() < 0.3:
        messages += [{"role": "user", "content": "Again."}, *_called(lot, names, len(messages) + 1, objects)[:1]]
    return {"tools": tools, "messages": messages}


def _called(lot: random.Random, names: list[str], place: int, objects: bool) -> list[dict[str, Any]]:
    calls = [
        {
            "id": f"call_{place}_{number}",
            "type": "function",
            "function": {"name": lot.choice(names), "arguments": arguments(lot)},
        }
        for number in range(lot.choice((1, 1, 2)))
    ]
    answers: list[dict[str, Any]] = []
    for call in calls:
        content: Any = json.dumps(value(lot)) if not objects or lot.random() < 0.5 else {"temp": 3, "is": "so {a}"}
        about = {"name": call["function"]["name"], "tool_call_id": call["id"]}  # type: ignore[index]
        answers.append({"role": "tool", "content": content, **about})
    return [{"role": "assistant", "content": "", "tool_calls": calls}, *answers]
