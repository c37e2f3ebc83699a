"""The openai client drives a call and its answer, whole and streamed, on both servers; llama.cpp renders as we do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.data.tokenizer import TURNS, Tokenizer
from gemmalocal.records import Message, ToolCall, ToolUse
from tests.serving.conftest import Served, started
from tests.tool_calls.conftest import ANSWER, ASKED, CALL, SAID, TOOL

ASK: list[dict[str, Any]] = [{"role": "user", "content": ASKED}]


@pytest.fixture(scope="module", params=["mlx", "gguf"])
def calling(
    request: pytest.FixtureRequest, caller_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The model that calls, behind either server."""
    folder = tmp_path_factory.mktemp("calling")
    with started(str(request.param), caller_home / "runs" / "caller" / "model", "", folder) as server:
        yield server


@pytest.fixture
def client(calling: Served) -> Any:
    """OpenAI's own, whose import takes a second."""
    from openai import OpenAI

    return OpenAI(base_url=calling.url, api_key="none", max_retries=0)


def test_the_client_drives_a_call_and_its_answer(client: Any) -> None:
    settings = {"model": "x", "tools": [TOOL], "max_tokens": 60}
    (choice,) = client.chat.completions.create(messages=ASK, **settings).choices
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == (CALL["name"], CALL["arguments"])
    assert not choice.message.content
    answer = {"role": "tool", "tool_call_id": call.id, "content": ANSWER}
    talk = [*ASK, choice.message.model_dump(exclude_none=True), answer]
    (choice,) = client.chat.completions.create(messages=talk, **settings).choices
    assert (choice.finish_reason, choice.message.content, choice.message.tool_calls) == ("stop", SAID, None)


def test_a_call_comes_in_a_stream(client: Any) -> None:
    chunks = list(client.chat.completions.create(model="x", messages=ASK, tools=[TOOL], max_tokens=60, stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    calls = [part for delta in deltas for part in delta.tool_calls or ()]
    assert {part.index for part in calls} == {0}
    assert "".join(part.function.name or "" for part in calls) == CALL["name"]
    assert json.loads("".join(part.function.arguments or "" for part in calls)) == CALL["arguments"]
    assert "".join(delta.content or "" for delta in deltas) == ""
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "tool_calls"


def test_without_tools_a_talk_is_as_before(calling: Served) -> None:
    told = calling.post("/chat/completions", messages=ASK, max_tokens=4).json()
    assert told["choices"][0]["message"].get("tool_calls") is None
    assert calling.post("/chat/completions", messages=ASK, tools=[TOOL], tool_choice="none").status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_can_be_wanted(calling: Served, client: Any, caller_home: Path, stream: bool) -> None:
    """A model that is kept from beginning a call by itself is made to, where that is wanted, or it is refused."""
    from openai import BadRequestError

    (mark,) = Tokenizer(caller_home / "runs" / "caller" / "model").encode("<start_function_call>")
    settings = {"model": "x", "messages": ASK, "max_tokens": 250, "logit_bias": {mark: -100}}

    def called(choice: Any, tools: list[dict[str, Any]]) -> list[str]:
        asked = {**settings, "tools": tools, "tool_choice": choice}
        if not stream:
            (said,) = client.chat.completions.create(**asked).choices
            return [call.function.name for call in said.message.tool_calls or ()]
        chunks = [chunk.choices[0] for chunk in client.chat.completions.create(stream=True, **asked) if chunk.choices]
        names = [call.function.name for chunk in chunks for call in chunk.delta.tool_calls or ()]
        return [name for name in names if name]

    assert called("auto", [TOOL]) == called("none", [TOOL]) == []
    for choice in ("required", {"type": "function", "function": {"name": "heat"}}):
        if calling.kind == "mlx":
            assert called(choice, [TOOL]) == ["heat"]
        else:
            with pytest.raises(BadRequestError, match="cannot make a model call"):
                called(choice, [TOOL])


def test_what_cannot_be_called_is_refused(calling: Served) -> None:
    wanted = {"type": "function", "function": {"name": "cool"}}
    for more in (
        {"tools": [TOOL], "tool_choice": wanted},
        {"tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
        {"tools": [TOOL], "tool_choice": {"type": "function", "name": "heat"}},
    ):
        answer = calling.post("/chat/completions", messages=ASK, **more)
        assert answer.status_code == 400, more
        assert answer.json()["error"]["param"] == "tool_choice"
    answer = calling.post("/chat/completions", messages=ASK, tools=[TOOL], parallel_tool_calls="no")
    assert answer.json()["error"]["param"] == "parallel_tool_calls"


def test_a_single_call_ends_an_answer(calling: Served) -> None:
    told = calling.post("/chat/completions", messages=ASK, tools=[TOOL], max_tokens=60, parallel_tool_calls=False)
    (choice,) = told.json()["choices"]
    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == ["heat"]
    assert choice["finish_reason"] == "tool_calls"


TALK = [
    Message("user", ASKED),
    Message("assistant", "", tool_use=ToolUse((ToolCall("heat", '{"of": "tea", "so": [1, true]}', "call_0"),))),
    Message("tool", ANSWER, tool_use=ToolUse((), "", "heat", "call_0")),
]


def test_llama_cpp_writes_the_plain_layout_as_we_do(tiny: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer(tiny)
    with started("gguf", tiny, tokenizer.tools_template, tmp_path) as server:
        messages = tokenizer.tool_form.messages(TALK)
        for turn, message in zip(TALK, messages, strict=True):
            message |= {"tool_calls": [call.as_protocol for call in turn.calls]} if turn.calls else {}
        told = server.post("/chat/completions", messages=messages, tools=[TOOL], max_tokens=2)
        assert told.status_code == 200, told.text
        count = told.json()["usage"]["prompt_tokens"]
    assert TURNS in tokenizer.tools_template
    assert count == len(tokenizer.encode(tokenizer.render(TALK, True, json.dumps([TOOL]))))
