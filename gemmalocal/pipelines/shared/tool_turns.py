"""Tools in a chat: what of a conversation a voice remembers, what it calls, and what is answered to that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gemmalocal.engine.generation import ChatModel
from gemmalocal.jobs.events import Asked
from gemmalocal.records import Message, ToolCall, ToolUse
from gemmalocal.tool_calls import parser
from gemmalocal.tool_calls.shown import written
from gemmalocal.workspace.transcript import Exchange

ToolAnswers = Sequence[Sequence[dict[str, str]]]  # by voice; each has the tool's name, the call's id, and a text


def hears(voice: ChatModel) -> bool:
    """Whether tools can be told to a voice, and its calls be read."""
    return voice.layout.form == "chat" and voice.tokenizer.grammar is not None


def checked(answers: Any, last: Exchange) -> list[list[dict[str, str]]]:
    """Answers to the calls of the last exchange; raises `ValueError` for what is none."""
    calls = [[call["id"] for call in answer.done.calls] if answer.done else [] for answer in last.answers]
    if not any(calls):
        raise ValueError("no tool was called")
    if not isinstance(answers, list) or len(answers) != len(calls):
        raise ValueError(f"answers are a list for each of the {len(calls)} voices")
    for ids, of_voice in zip(calls, answers, strict=True):
        if not isinstance(of_voice, list) or not all(_is_answer(answer) for answer in of_voice):
            raise ValueError("an answer has a name, an id and a text")
        if [answer["id"] for answer in of_voice] != ids:
            raise ValueError("each call is answered once, in their order")
    return answers


def _is_answer(answer: Any) -> bool:
    return isinstance(answer, dict) and all(isinstance(answer.get(key), str) for key in ("name", "id", "text"))


def as_text(answers: ToolAnswers, last: Exchange) -> str:
    """What was answered to which calls, for a person; what several voices called stands there once."""
    lines = dict.fromkeys(
        f"{written(call)} = {answer['text']}"
        for of_voice, said in zip(answers, last.answers, strict=True)
        for answer, call in zip(of_voice, said.done.calls if said.done else (), strict=True)
    )
    return "\n".join(lines)


def turns(before: Sequence[Exchange], asked: Asked, voice: int) -> list[Message]:
    """What a voice goes on from: what it remembers, and what it is asked now."""
    made: list[Message] = []
    for exchange in before:
        made += _asked(exchange.asked, voice)
        answer = exchange.answers[voice]
        if answer.done is None or answer.done.stopped != "idle":
            calls = answer.done.calls if answer.done else ()
            made.append(Message("assistant", answer.text, tool_use=ToolUse(_calls(calls)) if calls else None))
    return [*made, *_asked(asked, voice)]


def _asked(asked: Asked, voice: int) -> list[Message]:
    if not asked.answers:
        return [Message("user", asked.text)]
    return [
        Message("tool", answer["text"], tool_use=ToolUse((), "", answer["name"], answer["id"]))
        for answer in asked.answers[voice]
    ]


def _calls(calls: Sequence[dict[str, Any]]) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(call["name"], parser.dumped(call["arguments"]), call["id"]) for call in calls)


class CallTaker:
    """Takes the calls out of what a voice says, as it comes; where there are no tools, all is text."""

    def __init__(self, voice: ChatModel, turn: int, tools: bool) -> None:
        self._grammar = voice.tokenizer.grammar if tools and hears(voice) else None
        self._splitter = parser.Splitter(self._grammar) if self._grammar else None
        self._turn = turn
        self.calls: list[dict[str, Any]] = []

    def take(self, text: str, last: bool) -> str:
        """What of a text may be shown."""
        if self._splitter is None:
            return text
        said, calls = self._splitter(text, last)
        for call in calls:
            name = f"call_{self._turn}_{len(self.calls)}"
            self.calls.append({"name": call.name, "arguments": call.values, "id": name})
        return said

    def text(self, answer: str) -> str:
        """Of a whole answer the text beside its calls."""
        return parser.parse(answer, self._grammar).text if self._grammar else answer
