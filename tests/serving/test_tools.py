"""What mlx-lm's engine says in tool calls and thoughts, as the protocol has them, by mlx-lm's own parser of Gemma 4."""

from __future__ import annotations

import json
from typing import Any

from mlx_lm import server
from mlx_lm.generate import TextStateMachine
from mlx_lm.tool_parsers import gemma4

from gemmalocal.backends.mlx.mlx_lm_requests import ResponseSink
from gemmalocal.serving.answers import Response
from gemmalocal.serving.engine import GeneratedPiece, GenerationRequest, GenerationUpdate
from gemmalocal.serving.requests import ChatRequest, parse

BODY = {"messages": [{"role": "user", "content": "a"}], "tools": [{"type": "function", "function": {"name": "look"}}]}
SAID = '<think>hm</think>I look.<tool_call>call:look{at:<|"|>the {sky}<|"|>}</tool_call><tool_call>nonsense</tool_call>'


def told(text: str, size: int) -> list[GenerationUpdate]:
    """What the front is told of a text that comes in pieces."""
    machine = TextStateMachine(
        {
            "normal": [("<think>", "reasoning"), ("<tool_call>", "tool")],
            "reasoning": [("</think>", "normal")],
            "tool": [("</tool_call>", "normal")],
        }
    )
    context = server.GenerationContext(True, True, gemma4.parse_tool_call, machine, "normal", [1, 2, 3])
    news: list[GenerationUpdate] = []
    sink = ResponseSink(GenerationRequest(tools=parse(ChatRequest, BODY).asks()[0].tools), news.append, None, set())
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    for item in (context, *(server.Response(piece, 5, 0.0, None, ()) for piece in pieces)):
        sink.put(item)
    sink.put(server.Response("", 1, 0.0, "stop", ()))
    return news


def test_calls_and_thoughts_are_apart_from_the_text() -> None:
    for size in (1, 2, 3, 7, 1000):
        begun, *pieces = told(SAID, size)
        request = parse(ChatRequest, BODY)
        answer = Response(request, request.asks(), "x", [""])
        (choice,) = answer.choices
        said = [choice.add(piece) for piece in pieces if isinstance(piece, GeneratedPiece)]
        (whole,) = answer.full_response([said])["choices"]
        message: dict[str, Any] = whole["message"]
        assert whole["finish_reason"] == "tool_calls"
        assert (message["content"], message["reasoning_content"]) == ("I look.", "hm")
        (call,) = message["tool_calls"]
        assert call["function"]["name"] == "look"
        assert json.loads(call["function"]["arguments"]) == {"at": "the {sky}"}
