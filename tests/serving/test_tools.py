"""What an engine says in tool calls and thoughts, as the protocol has them, for each grammar and any pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlx_lm import server
from mlx_lm.generate import TextStateMachine

from gemmalocal.backends.mlx.mlx_lm_requests import ResponseSink
from gemmalocal.records import ToolCall
from gemmalocal.serving.answers import Response
from gemmalocal.serving.engine import GeneratedPiece, GenerationRequest, GenerationUpdate
from gemmalocal.serving.requests import ChatRequest, parse
from gemmalocal.tool_calls.grammars import FUNCTION_GEMMA, GEMMA_4, PLAIN, Grammar, opening, written

BODY = {"messages": [{"role": "user", "content": "a"}], "tools": [{"type": "function", "function": {"name": "look"}}]}
WORDS = {"at": "the {sky}", "deep": {"list": [1, "a, b"]}}
SAID = {
    FUNCTION_GEMMA: "call:look{at:<escape>the {sky}<escape>,deep:{list:[1,<escape>a, b<escape>]}}",
    GEMMA_4: 'call:look{at:<|"|>the {sky}<|"|>,deep:{list:[1,<|"|>a, b<|"|>]}}',
    PLAIN: '\n{"name": "look", "arguments": ' + json.dumps(WORDS) + "}\n",
}


def told(text: str, size: int) -> list[GenerationUpdate]:
    """What the front is told of a text that comes in pieces from mlx-lm's engine."""
    machine = TextStateMachine({"normal": [("<think>", "reasoning")], "reasoning": [("</think>", "normal")]})
    context = server.GenerationContext(True, False, None, machine, "normal", [1, 2, 3])
    news: list[GenerationUpdate] = []
    sink = ResponseSink(GenerationRequest(tools=parse(ChatRequest, BODY).asks()[0].tools), news.append, None, set())
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    for item in (context, *(server.Response(piece, 5, 0.0, None, ()) for piece in pieces)):
        sink.put(item)
    sink.put(server.Response("", 1, 0.0, "stop", ()))
    return news


def answered(text: str, size: int, grammar: Grammar, **settings: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The whole choice, and the choices of its chunks."""
    request = parse(ChatRequest, {**BODY, **settings})
    response = Response(request, request.asks(), "x", [""], grammar)
    (choice,) = response.choices
    said = []
    for piece in told(text, size):
        if isinstance(piece, GeneratedPiece) and choice.finish is None:
            said.append(choice.add(piece))
    (whole,) = response.full_response([said])["choices"]
    return whole, [response.chunk(choice, piece)["choices"][0] for piece in said]


@pytest.mark.parametrize("grammar", SAID, ids=lambda grammar: grammar.name)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_calls_and_thoughts_are_apart_from_the_text(grammar: Grammar, size: int) -> None:
    call = f"{grammar.call_start}{SAID[grammar]}{grammar.call_end}"
    end = grammar.answer_start + "response:" if grammar.within else ""
    whole, chunks = answered(f"<think>hm</think>I look.{call}{call}{end}", size, grammar)
    message: dict[str, Any] = whole["message"]
    assert whole["finish_reason"] == "tool_calls"
    assert (message["content"], message["reasoning_content"]) == ("I look.", "hm")
    assert [made["function"]["name"] for made in message["tool_calls"]] == ["look"] * 2
    assert all(json.loads(made["function"]["arguments"]) == WORDS for made in message["tool_calls"])
    assert len({made["id"] for made in message["tool_calls"]}) == 2
    deltas = [made for chunk in chunks for made in chunk["delta"].get("tool_calls", ())]
    assert [made["index"] for made in deltas] == [0, 1]
    assert chunks[-1]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("grammar", SAID, ids=lambda grammar: grammar.name)
@pytest.mark.parametrize("size", [1, 1000])
def test_one_call_is_enough_where_no_more_are_wanted(grammar: Grammar, size: int) -> None:
    call = f"{grammar.call_start}{SAID[grammar]}{grammar.call_end}"
    whole, chunks = answered(f"I look.{call}{call}", size, grammar, parallel_tool_calls=False)
    assert whole["finish_reason"] == "tool_calls"
    assert [made["function"]["name"] for made in whole["message"]["tool_calls"]] == ["look"]
    assert chunks[-1]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("grammar", SAID, ids=lambda grammar: grammar.name)
@pytest.mark.parametrize("name", ["", "look"])
def test_what_has_to_be_called_is_what_a_call_begins_with(grammar: Grammar, name: str) -> None:
    call = written([ToolCall("look", json.dumps(WORDS))], grammar)
    assert call.startswith(opening(grammar, name))


@pytest.mark.parametrize("size", [1, 1000])
def test_what_is_no_call_is_text(size: int) -> None:
    broken = "A <start_function_call>nonsense<end_function_call> b <start_function_call>call:look{"
    whole, _ = answered(broken, size, FUNCTION_GEMMA)
    assert (whole["finish_reason"], whole["message"]["content"]) == ("stop", broken)
