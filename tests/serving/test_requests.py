"""A hundred requests that are odd: each gets the protocol's answer, and the next one too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.serving.conftest import NAME, Served

TEXT, CHAT = "/completions", "/chat/completions"
USER = [{"role": "user", "content": "the quote"}]
DEEP = json.loads("[" * 60 + "]" * 60)
IMAGE = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1"}}
CALL = {"function": {"name": "x", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def schema(**parts: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array", **parts}}}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    # prompts
    (TEXT, {}, "prompt"),
    (TEXT, {"prompt": None}, "prompt"),
    (TEXT, {"prompt": []}, "prompt"),
    (TEXT, {"prompt": [[]]}, "prompt"),
    (TEXT, {"prompt": 7}, "prompt"),
    (TEXT, {"prompt": {"text": "a"}}, "prompt"),
    (TEXT, {"prompt": ["a", 1]}, "prompt"),
    (TEXT, {"prompt": [["a"]]}, "prompt"),
    (TEXT, {"prompt": [1.5]}, "prompt"),
    (TEXT, {"prompt": [True]}, "prompt"),
    (TEXT, {"prompt": [-1]}, "prompt"),
    (TEXT, {"prompt": [10**8]}, "prompt"),
    (TEXT, {"prompt": [310]}, "prompt"),
    (TEXT, {"prompt": ["a"] * 129}, "prompt"),
    (TEXT, {"prompt": ["a"] * 100, "n": 2}, "n"),
    (TEXT, {"prompt": "a\ud800"}, ""),
    (TEXT, {"prompt": "the " * 21_000}, ""),
    # numbers out of bounds, and what is no number
    (TEXT, {"prompt": "a", "max_tokens": -1}, "max_tokens"),
    (TEXT, {"prompt": "a", "max_tokens": 10**30}, "max_tokens"),
    (TEXT, {"prompt": "a", "max_tokens": "8"}, "max_tokens"),
    (TEXT, {"prompt": "a", "max_tokens": 1.5}, "max_tokens"),
    (TEXT, {"prompt": "a", "max_tokens": True}, "max_tokens"),
    (TEXT, {"prompt": "a", "temperature": -1}, "temperature"),
    (TEXT, {"prompt": "a", "temperature": 1e300}, "temperature"),
    (TEXT, {"prompt": "a", "temperature": "hot"}, "temperature"),
    (TEXT, {"prompt": "a", "temperature": False}, "temperature"),
    (TEXT, {"prompt": "a", "top_p": 1.1}, "top_p"),
    (TEXT, {"prompt": "a", "top_k": -1}, "top_k"),
    (TEXT, {"prompt": "a", "top_k": 2.5}, "top_k"),
    (TEXT, {"prompt": "a", "min_p": 2}, "min_p"),
    (TEXT, {"prompt": "a", "repetition_penalty": 0}, "repetition_penalty"),
    (TEXT, {"prompt": "a", "presence_penalty": 3}, "presence_penalty"),
    (TEXT, {"prompt": "a", "frequency_penalty": -3}, "frequency_penalty"),
    (TEXT, {"prompt": "a", "seed": 2**64}, "seed"),
    (TEXT, {"prompt": "a", "seed": "x"}, "seed"),
    (TEXT, {"prompt": "a", "n": 0}, "n"),
    (TEXT, {"prompt": "a", "n": 129}, "n"),
    (TEXT, {"prompt": "a", "n": "2"}, "n"),
    (TEXT, {"prompt": "a", "best_of": 3}, ""),
    (TEXT, {"prompt": "a", "logprobs": True}, "logprobs"),
    (TEXT, {"prompt": "a", "logprobs": 21}, "logprobs"),
    (TEXT, {"prompt": "a", "logprobs": -1}, "logprobs"),
    (TEXT, {"prompt": "a", "echo": "yes"}, "echo"),
    (TEXT, {"prompt": "a", "suffix": "z"}, "suffix"),
    (TEXT, {"prompt": "a", "stream": "yes"}, "stream"),
    (TEXT, {"prompt": "a", "stream": 1}, "stream"),
    (TEXT, {"prompt": "a", "stream_options": []}, "stream_options"),
    (TEXT, {"prompt": "a", "stream_options": {"include_usage": 3}}, "stream_options.include_usage"),
    (TEXT, {"prompt": "a", "model": 3}, "model"),
    # stop words and biases
    (TEXT, {"prompt": "a", "stop": 3}, "stop"),
    (TEXT, {"prompt": "a", "stop": ""}, "stop"),
    (TEXT, {"prompt": "a", "stop": ["x", None]}, "stop"),
    (TEXT, {"prompt": "a", "stop": [["x"]]}, "stop"),
    (TEXT, {"prompt": "a", "stop": {"x": 1}}, "stop"),
    (TEXT, {"prompt": "a", "stop": ["x"] * 17}, "stop"),
    (TEXT, {"prompt": "a", "stop": "x" * 1001}, "stop"),
    (TEXT, {"prompt": "a", "logit_bias": {"310": 1}}, "logit_bias"),
    (TEXT, {"prompt": "a", "logit_bias": {"999999999": 1}}, "logit_bias"),
    (TEXT, {"prompt": "a", "logit_bias": {"9" * 40: 1}}, "logit_bias"),
    (TEXT, {"prompt": "a", "logit_bias": {"-1": 1}}, "logit_bias"),
    (TEXT, {"prompt": "a", "logit_bias": {"a": 1}}, "logit_bias"),
    (TEXT, {"prompt": "a", "logit_bias": {"5": "much"}}, "logit_bias"),
    (TEXT, {"prompt": "a", "logit_bias": {"5": 101}}, "logit_bias"),
    (TEXT, {"prompt": "a", "logit_bias": [[5, 1]]}, "logit_bias"),
    (TEXT, {"prompt": "a", "logit_bias": {str(key): 1 for key in range(2000)}}, "logit_bias"),
    # what the protocol has not
    (TEXT, {"prompt": "a", "grammar": 'root ::= "a"*'}, "grammar"),
    (TEXT, {"prompt": "a", "messages": USER}, "messages"),
    (TEXT, {"prompt": "a", "x" * 300: 1}, "x" * 100),
    (TEXT, {"prompt": "a", **{f"x{number}": 1 for number in range(200)}}, ""),
    (TEXT, {"prompt": "a", "user": DEEP + DEEP, "metadata": [DEEP, [[[[DEEP]]]]]}, ""),
    # messages
    (CHAT, {}, "messages"),
    (CHAT, {"prompt": "a"}, "messages"),
    (CHAT, {"messages": []}, "messages"),
    (CHAT, {"messages": "hello"}, "messages"),
    (CHAT, {"messages": ["hello"]}, "messages.0"),
    (CHAT, {"messages": [{}]}, "messages.0.role"),
    (CHAT, {"messages": [{"role": "user"}]}, "messages.0"),
    (CHAT, {"messages": [{"role": "user", "content": None}]}, "messages.0"),
    (CHAT, {"messages": [{"role": "robot", "content": "a"}]}, "messages.0.role"),
    (CHAT, {"messages": [{"role": 1, "content": "a"}]}, "messages.0.role"),
    (CHAT, {"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    (CHAT, {"messages": [{"role": "user", "content": ["a"]}]}, "messages.0.content"),
    (CHAT, {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content"),
    (CHAT, {"messages": [{"role": "user", "content": [IMAGE]}]}, "messages.0.content"),
    (CHAT, {"messages": [{"role": "user", "content": "a", "tool_calls": [CALL]}]}, "messages.0"),
    (CHAT, {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "x", "arguments": "{"}}]}]},
     "messages.0.tool_calls.0.function.arguments"),
    (CHAT, {"messages": USER * 5000}, "messages"),
    (CHAT, {"messages": [{"role": "user", "content": "the " * 21_000}]}, "messages"),
    (CHAT, {"messages": USER, "max_tokens": 0}, "max_tokens"),
    (CHAT, {"messages": USER, "max_completion_tokens": -5}, "max_completion_tokens"),
    (CHAT, {"messages": USER, "logprobs": 1}, "logprobs"),
    (CHAT, {"messages": USER, "logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    (CHAT, {"messages": USER, "top_logprobs": 2}, ""),
    (CHAT, {"messages": USER, "echo": True}, "echo"),
    (CHAT, {"messages": USER, "modalities": ["audio"]}, "modalities.0"),
    (CHAT, {"messages": USER, "chat_template_kwargs": "x"}, "chat_template_kwargs"),
    # tools and schemas
    (CHAT, {"messages": USER, "tools": [{}]}, "tools.0.type"),
    (CHAT, {"messages": USER, "tools": [{"type": "function", "function": {"name": ""}}]}, "tools.0.function.name"),
    (CHAT, {"messages": USER, "tools": [TOOL], "tool_choice": "always"}, "tool_choice"),
    (CHAT, {"messages": USER, "tools": [TOOL] * 200}, "tools"),
    (CHAT, {"messages": USER, "response_format": {"type": "xml"}}, "response_format"),
    (CHAT, {"messages": USER, "response_format": {"type": "json_schema"}}, "response_format"),
    (CHAT, {"messages": USER, "response_format": schema(maxItems=10**9)}, "response_format"),
    (CHAT, {"messages": USER, "response_format": schema(maxItems=-1)}, "response_format"),
    (CHAT, {"messages": USER, "response_format": schema(maxItems=99, items={"type": "string", "maxLength": 99})},
     "response_format"),
    (CHAT, {"messages": USER, "response_format": schema(items={"type": "string", "pattern": "(a{999}){999}"})},
     "response_format"),
    (CHAT, {"messages": USER, "response_format": schema(items={"$ref": "http://127.0.0.1:1/x"})}, "response_format"),
    (CHAT, {"messages": USER, "response_format": schema(description="x" * 30_000)}, "response_format"),
]  # fmt: skip

SERVED: list[tuple[str, dict[str, Any]]] = [
    (TEXT, {"prompt": ""}),
    (TEXT, {"prompt": "\x00\x1b[2J\r\n"}),
    (TEXT, {"prompt": "🦙漢字\u202e"}),
    (TEXT, {"prompt": ["a"]}),
    (TEXT, {"prompt": ["a", "the"]}),
    (TEXT, {"prompt": [2, 270]}),
    (TEXT, {"prompt": [[2, 270], [2, 271]]}),
    (TEXT, {"prompt": [0]}),
    (TEXT, {"prompt": "<eos><end_of_turn><start_of_image>"}),
    (TEXT, {"prompt": "a", **dict.fromkeys(("temperature", "stop", "seed", "logit_bias", "n", "logprobs", "user"))}),
    (TEXT, {"prompt": "a", "grammar": None, "whatever": None}),
    (TEXT, {"prompt": "a", "model": "x" * 100_000}),
    (TEXT, {"prompt": "a", "stop": []}),
    (TEXT, {"prompt": "a", "stop": ["<eos>", "\n\n", "🦙"]}),
    (TEXT, {"prompt": "a", "temperature": 2, "top_p": 0, "top_k": 2**31 - 1, "min_p": 1}),
    (TEXT, {"prompt": "a", "temperature": 1e-300}),
    (TEXT, {"prompt": "a", "temperature": 1, "seed": -(2**63)}),
    (TEXT, {"prompt": "a", "temperature": 1, "repetition_penalty": 9, "presence_penalty": 2, "frequency_penalty": -2}),
    (TEXT, {"prompt": "a", "logit_bias": {"309": -100, "0": 100}}),
    (TEXT, {"prompt": "a", "logit_bias": {}}),
    (TEXT, {"prompt": "a", "adapters": "/etc", "draft_model": "/etc", "num_draft_tokens": -1, "role_mapping": 3}),
    (TEXT, {"prompt": "the " * 100, "max_tokens": 10**6, "stop": ["b", "aaaa"], "logit_bias": {"263": 100}}),  # a
    (CHAT, {"messages": [{"role": "user", "content": ""}]}),
    (CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]}),
    (CHAT, {"messages": [{"role": "developer", "content": "a"}, *USER], "max_completion_tokens": 3}),
    (CHAT, {"messages": [*USER, {"role": "assistant", "content": "b", "refusal": None, "annotations": []}, *USER]}),
    (CHAT, {"messages": [*USER, *USER], "response_format": {"type": "text"}, "tool_choice": "none", "tools": [TOOL]}),
    (CHAT, {"messages": USER, "chat_template": "{% for i in range(10**9) %}{% endfor %}"}),
    (CHAT, {"messages": USER, "chat_template_kwargs": {"chat_template": "{% for i in range(10**9) %}x{% endfor %}"}}),
    (CHAT, {"messages": USER, "chat_template_kwargs": {"tokenize": False, "enable_thinking": True, "messages": 3}}),
]  # fmt: skip


def test_what_the_protocol_does_not_allow_is_refused_by_field(served: Served) -> None:
    for path, body, field in REFUSED:
        answer = served.client.post(f"{served.url}{path}", content=json.dumps(body))
        error = answer.json()["error"]
        told = f"{path} {str(body)[:200]}: {answer.text}"
        assert answer.status_code == 400, told
        assert error["type"] == "invalid_request_error", told
        assert (error["param"] or "") in (field, "prompt", "messages", ""), told
        assert 10 < len(error["message"]) < 500, told
    assert served.complete(prompt="a")


def test_what_it_allows_is_answered(served: Served) -> None:
    for path, body in SERVED:
        answer = served.client.post(f"{served.url}{path}", content=json.dumps({"max_tokens": 4, **body}))
        told = f"{path} {str(body)[:200]}: {answer.text[:500]}"
        assert answer.status_code == 200, told
        found = answer.json()
        assert found["model"] == NAME
        assert all(choice["finish_reason"] in ("stop", "length") for choice in found["choices"]), told


def test_tools_and_schemas_where_the_engine_can(served: Served) -> None:
    objects = {"messages": USER, "response_format": schema(items={"enum": ["a"]}, maxItems=2), "max_tokens": 30}
    tools = {"messages": USER, "tools": [TOOL], "max_tokens": 8}
    if served.kind == "mlx":
        assert "GGUF" in served.post(CHAT, **objects).json()["error"]["message"]
        assert "no tools" in served.post(CHAT, **tools).json()["error"]["message"]
    else:
        text = served.post(CHAT, **objects).json()["choices"][0]["message"]["content"]
        assert set(json.loads(text)) <= {"a"}
        assert served.post(CHAT, **tools).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_word_ends_the_answer(served: Served, stream: bool) -> None:
    whole = served.complete(prompt="the", max_tokens=24)["choices"][0]["text"]
    for word in sorted({whole[start : start + 3] for start in range(len(whole) - 2)}):
        body = {"prompt": "the", "max_tokens": 24, "stop": ["never there", word], "logprobs": 1}
        if stream:
            body["stream"] = True
            lines = served.post(TEXT, **body).text.split("\n\n")
            chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
            assert "error" not in chunks[-1], chunks[-1]
            choices = [chunk["choices"][0] for chunk in chunks]
        else:
            choices = served.complete(**body)["choices"]
        assert "".join(choice["text"] for choice in choices) == whole[: whole.index(word)]
        assert choices[-1]["finish_reason"] == "stop"


def test_choices_have_their_places(served: Served) -> None:
    alone = [served.complete(prompt=prompt)["choices"][0]["text"] for prompt in ("the", "quo")]
    together = served.complete(prompt=["the", "quo"], n=2)
    assert [choice["text"] for choice in together["choices"]] == [alone[0], alone[0], alone[1], alone[1]]
    assert [choice["index"] for choice in together["choices"]] == [0, 1, 2, 3]
    drawn = served.complete(prompt="the", n=2, temperature=2, seed=1)["choices"]
    assert drawn[0]["text"] != drawn[1]["text"]
    again = served.complete(prompt="the", n=2, temperature=2, seed=1)["choices"]
    assert [choice["text"] for choice in again] == [choice["text"] for choice in drawn]


def test_no_token_is_an_answer_of_length_nought(served: Served) -> None:
    (choice,) = served.complete(prompt="the", max_tokens=0, echo=True)["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("the", "length")
