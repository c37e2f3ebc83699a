"""The messages and tools of a chat request."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _text(value: Any) -> str:
    """The text of a message; of a list of text parts, all of them."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        raise ValueError("a text, or a list of text parts")
    for part in value:
        if part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise ValueError("this server reads text alone: parts of type text, each with its text")
    return "".join(part["text"] for part in value)


def _arguments(value: Any) -> str:
    try:
        arguments = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise ValueError("a JSON object, as text")
    return str(value)


class _CalledFunction(BaseModel):
    model_config = ConfigDict(strict=True)
    name: str = Field(min_length=1, max_length=256)
    arguments: Annotated[str, BeforeValidator(_arguments)]


class _Call(BaseModel):
    model_config = ConfigDict(strict=True)
    id: str = ""
    type: Literal["function"] = "function"
    function: _CalledFunction


class ChatMessage(BaseModel):
    """One of a conversation. What else answers carry, as clients send them back, is passed over."""

    model_config = ConfigDict(strict=True)
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str, BeforeValidator(_text)] | None = None
    tool_calls: list[_Call] | None = Field(None, max_length=128)
    tool_call_id: str | None = None
    name: str | None = Field(None, max_length=256)

    @model_validator(mode="after")
    def _check_content(self) -> ChatMessage:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError("its content is missing")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only an assistant calls tools")
        return self

    def plain(self) -> dict[str, Any]:
        """As chat templates take it."""
        role = "system" if self.role == "developer" else self.role
        calls = [call.model_dump() for call in self.tool_calls or ()]
        tool_fields = {"tool_calls": calls} if calls else {}
        tool_fields |= {"tool_call_id": self.tool_call_id} if self.tool_call_id else {}  # type: ignore[dict-item]
        tool_fields |= {"name": self.name} if self.name and role == "tool" else {}  # type: ignore[dict-item]
        return {"role": role, "content": self.content or "", **tool_fields}


class _Function(BaseModel):
    model_config = ConfigDict(strict=True)
    name: str = Field(min_length=1, max_length=256)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(BaseModel):
    """Something that the model may ask for."""

    model_config = ConfigDict(strict=True)
    type: Literal["function"]
    function: _Function


def named(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A conversation in which each tool's answer has the name of the tool, by the call that it answers."""
    names = {call["id"]: call["function"]["name"] for message in messages for call in message.get("tool_calls", ())}
    return [
        {**message, "name": message.get("name") or names.get(message.get("tool_call_id", ""), "unknown")}
        if message["role"] == "tool"
        else message
        for message in messages
    ]


def folded(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A conversation whose system's message is the beginning of its next one."""
    if len(messages) < 2 or messages[0]["role"] != "system":
        return messages
    first, second, *rest = messages
    return [{**second, "content": f"{first['content']}\n\n{second['content']}"}, *rest]
