"""How messages with tools go into a chat template: the model's own if it knows tools, else the plain layout before it.

The plain layout (docs/tools.md) is Jinja in front of the model's own template: it writes tools, calls and answers into
the texts of the messages, so that whoever has the template has the layout: transformers, llama.cpp, an export.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gemmalocal.records import Message, ToolCall, ToolUse

PROBE = "\ue0f3"  # a private character, which no template has
PLAIN_TOOLS = (
    "{%- set given = namespace(messages=[], answers='', told=not tools) -%}\n"
    "{%- for message in messages -%}\n"
    "{%- if message['role'] == 'tool' -%}\n"
    "{%- set given.answers = given.answers ~ ('\\n' if given.answers else '') ~ '<tool_response>\\n'"
    " ~ message['content'] ~ '\\n</tool_response>' -%}\n"
    "{%- if loop.last or messages[loop.index]['role'] != 'tool' -%}\n"
    "{%- set given.messages = given.messages + [{'role': 'user', 'content': given.answers}] -%}\n"
    "{%- set given.answers = '' -%}\n"
    "{%- endif -%}\n"
    "{%- elif message['role'] == 'assistant' and message['tool_calls'] -%}\n"
    "{%- set said = namespace(text=(message['content'] or '') | trim) -%}\n"
    "{%- for call in message['tool_calls'] -%}\n"
    "{%- set called = call['function'] -%}\n"
    "{%- set said.text = said.text ~ ('\\n' if said.text else '') ~ '<tool_call>\\n{\"name\": '"
    " ~ (called['name'] | tojson) ~ ', \"arguments\": '"
    " ~ (called['arguments'] if called['arguments'] is string else called['arguments'] | tojson)"
    " ~ '}\\n</tool_call>' -%}\n"
    "{%- endfor -%}\n"
    "{%- set given.messages = given.messages + [{'role': 'assistant', 'content': said.text}] -%}\n"
    "{%- elif message['role'] == 'user' and not given.told -%}\n"
    "{%- set told = namespace(text='You can call tools. These are there:\\n<tools>\\n') -%}\n"
    "{%- for tool in tools -%}\n"
    "{%- set told.text = told.text ~ (tool['function'] | tojson) ~ '\\n' -%}\n"
    "{%- endfor -%}\n"
    "{%- set told.text = told.text ~ '</tools>\\nA call is written as\\n<tool_call>\\n'"
    ' ~ \'{"name": "its name", "arguments": {"a name": "a value"}}\\n</tool_call>\\n\\n\' -%}\n'
    "{%- set given.told = true -%}\n"
    "{%- set given.messages = given.messages + [{'role': 'user', 'content': told.text ~ message['content']}] -%}\n"
    "{%- else -%}\n"
    "{%- set given.messages = given.messages + [message] -%}\n"
    "{%- endif -%}\n"
    "{%- endfor -%}\n"
    "{%- set messages = given.messages -%}\n"
)


@dataclass(frozen=True)
class ToolForm:
    """In which keys a template looks for a tool's answer.

    `beside`: in the `tool_responses` of the reply that called, and not in a turn of its own; `objects`: an answer may
    be an object, and not only text.
    """

    beside: bool = False
    objects: bool = False

    def messages(self, turns: Sequence[Message]) -> list[dict[str, Any]]:
        """A conversation as the template takes it."""
        made: list[dict[str, Any]] = []
        for turn in turns:
            if self.beside and turn.role == "tool" and made and "tool_calls" in made[-1]:
                use = turn.tool_use or ToolUse()
                answer = {"name": use.name, "response": self._answer(turn)}
                made[-1].setdefault("tool_responses", []).append(answer)
            elif self.beside and turn.role == "assistant" and not turn.calls and made and "tool_responses" in made[-1]:
                made[-1]["content"] = turn.content
            else:
                made.append(self._message(turn))
        return made

    def _answer(self, turn: Message) -> Any:
        structured = self.objects and turn.tool_use is not None and turn.tool_use.structured
        return json.loads(turn.content) if structured else turn.content

    def _message(self, turn: Message) -> dict[str, Any]:
        message: dict[str, Any] = {"role": turn.role, "content": turn.content}
        if (use := turn.tool_use) is None:
            return message
        if turn.role == "tool":
            named = {"name": use.name or "unknown", "tool_call_id": use.call_id}
            return {**message, "content": self._answer(turn), **{key: value for key, value in named.items() if value}}
        message["tool_calls"] = [_call(call) for call in use.calls]
        return {**message, "reasoning_content": use.thought} if use.thought else message


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.values}}


FORMS = (
    ToolForm(objects=True),
    ToolForm(),
    ToolForm(beside=True, objects=True),
    ToolForm(beside=True),
)
TOOL = {"type": "function", "function": {"name": PROBE, "description": "a", "parameters": {"type": "object"}}}
ASKED = (Message("user", "a"), Message("assistant", "", tool_use=ToolUse((ToolCall("b", "{}", "1"),))))
OBJECT = Message("tool", json.dumps({"c": PROBE}), tool_use=ToolUse((), "", "b", "1", True))
TEXT = Message("tool", PROBE, tool_use=ToolUse((), "", "b", "1"))


@lru_cache(64)
def tools_in(text: str) -> list[dict[str, Any]] | None:
    """The tools of a record for a template; None if it has none."""
    tools: list[dict[str, Any]] = json.loads(text) if text else []
    return tools or None
