"""What a voice said, with the tools that it calls; and what somebody lets tools answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Self

from gemmalocal.errors import UsageFault

Call = dict[str, Any]  # a tool's `name`, its `arguments` by name, and an `id`
ToolAnswers = Mapping[str, Any] | Callable[[Call], Any]


class Answer(str):
    """A text, and the `calls` beside it, each with `name`, `arguments` and `id`."""

    calls: list[Call]

    def __new__(cls, text: str, calls: list[Call]) -> Self:
        """Of what a chat heard."""
        made = super().__new__(cls, text)
        made.calls = calls
        return made


def to_call(given: ToolAnswers, call: Call) -> str:
    """What a tool answers to a call, as text; raises `UsageFault` where nothing is given for it."""
    if callable(given):
        answer = given(call)
    elif call["name"] in given:
        answer = given[call["name"]]
    else:
        raise UsageFault(f"No answer of {call['name']} is given.", "Give one for each tool that was called.")
    try:
        return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise UsageFault(f"What {call['name']} answers is no JSON.", "Give a text, or values that JSON has.") from error
