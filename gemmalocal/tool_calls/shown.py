"""Calls of tools as a person reads them: get_weather(city="Paris")."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gemmalocal.tool_calls import parser

Call = Mapping[str, Any]  # a tool's `name`, its `arguments` by name, an `id`


def written(call: Call) -> str:
    """A call: get_weather(city="Paris")."""
    arguments = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in call["arguments"].items())
    return f"{call['name']}({arguments})"


def with_calls(text: str, calls: Sequence[Call]) -> str:
    """What was said, and below it what is called, a line each."""
    lines = [text] if text.strip() or not calls else []
    return "\n".join([*lines, *(f"→ {written(call)}" for call in calls)])


class CallingText:
    """What has a `text` in which calls of tools stand as the model writes them."""

    text: str

    @property
    def said(self) -> str:
        """The text beside its calls."""
        return parser.parse(self.text).text

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The tools that it calls, each with `name`, `arguments` and `id`."""
        calls = parser.parse(self.text).calls
        return [{"name": call.name, "arguments": call.values, "id": call.id} for call in calls]

    @property
    def shown(self) -> str:
        """What it says, and below it what it calls, for a person."""
        return with_calls(self.said, self.calls)
