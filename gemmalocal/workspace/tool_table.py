"""Tools that a chat may call, and what they answer: from a small table, or as somebody types it; nothing is ever run.

The file is JSON: a list of tools, or {"tools": [...], "answers": [...]}. An answer is {"name": ..., "answer": ...},
perhaps with the `arguments` that a call must have for it; the first that fits a call is taken.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gemmalocal.errors import UsageFault
from gemmalocal.workspace.transcript import Exchange

LARGEST = 1 << 20  # characters of a file of tools
ROUNDS = 8  # times that a question may be gone on from with canned answers
FORM = 'It is a JSON list of tools, or {"tools": [...], "answers": [{"name": ..., "answer": ...}]}.'


@dataclass(frozen=True)
class CannedAnswer:
    """What a tool answers to calls that have at least these arguments."""

    name: str
    arguments: dict[str, Any]
    answer: str

    def fits(self, call: dict[str, Any]) -> bool:
        """Whether it answers a call."""
        given = call["arguments"]
        return self.name == call["name"] and all(given.get(key) == value for key, value in self.arguments.items())


@dataclass(frozen=True)
class ToolTable:
    """Tools as OpenAI has them, and canned answers."""

    tools: list[dict[str, Any]]
    answers: Sequence[CannedAnswer] = ()

    def answer(self, call: dict[str, Any]) -> str | None:
        """What is answered to a call; None if the table does not say."""
        return next((canned.answer for canned in self.answers if canned.fits(call)), None)


def load(path: Path) -> ToolTable:
    """The tools of a file; raises `UsageFault` for one that is none."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if len(text) <= LARGEST else None
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise UsageFault(f"The tools in {path} cannot be read: {why}.", FORM) from error
    listed = content if isinstance(content, list) else content.get("tools") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed:
        raise UsageFault(f"{path} has no list of tools.", FORM)
    answers = content.get("answers", []) if isinstance(content, dict) else []
    if not isinstance(answers, list):
        raise UsageFault(f"The answers in {path} are no list.", FORM)
    return ToolTable([declared(tool, str(path)) for tool in listed], [_answer(answer, path) for answer in answers])


def declared(tool: Any, place: str) -> dict[str, Any]:
    """A tool as OpenAI has it, of one that may be bare; raises `UsageFault`, which names the `place`."""
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"].strip():
        raise UsageFault(f"{place} has a tool without a name.", FORM)
    if not isinstance(function.get("parameters", {}), dict):
        raise UsageFault(f"The parameters of {function['name']} in {place} are no object.", "They are a JSON schema.")
    return {"type": "function", "function": {key: value for key, value in function.items() if key != "type"}}


def _answer(answer: Any, path: Path) -> CannedAnswer:
    if not isinstance(answer, dict) or not isinstance(answer.get("name"), str) or "answer" not in answer:
        raise UsageFault(f"{path} has an answer without a name, or without an answer.", FORM)
    arguments = answer.get("arguments", {})
    if not isinstance(arguments, dict):
        raise UsageFault(f"The arguments of an answer of {answer['name']} in {path} are no object.", FORM)
    said = answer["answer"]
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    return CannedAnswer(answer["name"], arguments, text)


@dataclass
class OpenCalls:
    """The calls of all voices in the last exchange, and the answers that there are to them by now."""

    calls: list[list[dict[str, Any]]]  # by voice
    answers: dict[str, str] = field(default_factory=dict)  # by what is called with what

    @classmethod
    def of(cls, exchange: Exchange, table: ToolTable) -> OpenCalls:
        """Those of an exchange, with what the table answers."""
        made = cls([list(answer.done.calls) if answer.done else [] for answer in exchange.answers])
        for call in made._each():
            if (answer := table.answer(call)) is not None:
                made.answers[_key(call)] = answer
        return made

    @property
    def any(self) -> bool:
        """Whether something was called at all."""
        return bool(self._each())

    @property
    def next(self) -> dict[str, Any] | None:
        """The first call that has no answer."""
        return next((call for call in self._each() if _key(call) not in self.answers), None)

    def take(self, text: str) -> None:
        """An answer to the next call, and to equal ones of other voices."""
        if (call := self.next) is not None:
            self.answers[_key(call)] = text

    @property
    def as_command(self) -> list[list[dict[str, str]]]:
        """The answers by voice, as a chat takes them."""
        return [
            [{"name": call["name"], "id": call["id"], "text": self.answers[_key(call)]} for call in of_voice]
            for of_voice in self.calls
        ]

    def _each(self) -> list[dict[str, Any]]:
        return [call for of_voice in self.calls for call in of_voice]


def _key(call: dict[str, Any]) -> str:
    return json.dumps([call["name"], call["arguments"]], sort_keys=True)
