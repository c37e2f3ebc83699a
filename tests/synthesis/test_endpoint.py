"""The endpoint client against a real server that misbehaves: each failure has its sentence, and is retried or not."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import pytest

from gemmalocal.errors import EndpointError
from gemmalocal.recipe.prepare_schema import EndpointSpec
from gemmalocal.records import Message
from gemmalocal.synthesis.asking import Answer, Prompt, Unanswered, Usage
from gemmalocal.synthesis.endpoint import Endpoint
from gemmalocal.synthesis.secret import Secret
from tests.synthesis.server import Model, running

KEY = "sk-very-secret"
SCHEMA = {"type": "object"}


def prompt(text: str = "hello", schema: dict[str, Any] | None = None) -> Prompt:
    return Prompt((Message("user", text),), schema)


def endpoint(there: Model, waited: list[float] | None = None, **options: Any) -> Endpoint:
    sleep = (waited if waited is not None else []).append
    return Endpoint(there.url, options.pop("model", "m"), key=KEY, sleep=sleep, **options)


def ask(server: Endpoint, *prompts: Prompt) -> dict[int, Any]:
    answers = dict(server(prompts))
    return {number: answer.text if isinstance(answer, Answer) else answer for number, answer in answers.items()}


@pytest.mark.parametrize("stream", [True, False])
def test_answers_streamed_and_whole_in_their_places(stream: bool) -> None:
    with running() as model:
        model.stream = stream
        model.answer = lambda body: f"you said {body['messages'][-1]['content']}, {KEY}"
        answers = ask(endpoint(model, settings={"temperature": 0.5}), *(prompt(f"p{n}") for n in range(9)))
        assert answers == {n: f"you said p{n}, [key]" for n in range(9)}
        assert set(model.keys) == {f"Bearer {KEY}"}
        assert {(body["model"], body["temperature"]) for body in model.asked} == {("m", 0.5)}


def test_the_model_is_listed_or_left_out_and_addresses_are_understood() -> None:
    with running() as model:
        assert endpoint(model, model=None).model == "listed"
        for form in ("", "/", "/v1", "/v1/", "/v1/chat/completions"):
            assert Endpoint(model.url.removesuffix("/v1") + form, "m").url == model.url
        model.faults = ["models die"]
        assert endpoint(model, model=None).model is None


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        ("500", [2]),
        ("502 html", [2]),
        ("truncated", [2]),
        ("cut", [2]),
        ("429 7", [7]),
        ("429 soon", [2]),
    ],
)
def test_what_may_pass_is_tried_again(fault: str, waits: list[float]) -> None:
    with running() as model:
        model.faults, model.answer, waited = [fault], lambda body: "fine", list[float]()
        assert ask(endpoint(model, waited), prompt()) == {0: "fine"}
        assert waited == waits


def test_retry_after_may_be_a_date() -> None:
    with running() as model:
        model.faults, model.answer, waited = [f"429 {formatdate(time.time() + 30)}"], lambda body: "fine", list[float]()
        assert ask(endpoint(model, waited), prompt()) == {0: "fine"}
        assert 20 < waited[0] <= 31


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("401", "refuses access (401)"),
        ("404", "does not know this model or path"),
        ("html", "answers with a web page (200)"),
        ("404 html", "answers with a web page (404)"),
        ("429 9999", "asks us to wait 9999 seconds"),
    ],
)
def test_what_cannot_pass_is_said_at_once(fault: str, says: str) -> None:
    with running() as model:
        model.faults, waited = [fault], list[float]()
        with pytest.raises(EndpointError) as caught:
            ask(endpoint(model, waited), prompt())
        assert says in caught.value.message
        assert KEY not in caught.value.message + caught.value.hint
        assert not waited
        assert len(model.asked) == 1


@pytest.mark.parametrize(
    ("fault", "times", "says"),
    [
        ("500", 4, "failed (500): no luck with Bearer [key]"),
        ("502 html", 4, "failed (502): it sends a web page"),
        ("silent", 4, "did not answer in time"),
        ("cut", 4, "broke off"),
        ("truncated", 4, "breaks off"),
        ("413", 1, "refuses the request (413)"),
    ],
)
def test_one_prompt_that_fails_does_not_take_the_others_along(fault: str, times: int, says: str) -> None:
    with running() as model:
        model.faults, model.answer = [fault] * times, lambda body: "fine"
        answers = ask(endpoint(model, timeout=0.3, concurrency=1), prompt("a"), prompt("b"))
        assert isinstance(answers[0], Unanswered)
        assert says in answers[0].reason
        assert KEY not in answers[0].reason
        assert answers[1] == "fine"


def test_an_endpoint_that_only_fails_is_given_up() -> None:
    with running() as model:
        model.faults = ["500"] * 100
        with pytest.raises(EndpointError, match="4 prompts in a row"):
            ask(endpoint(model), *(prompt(str(n)) for n in range(50)))
        assert len(model.asked) < 60


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        json.dumps(KEY + "x"),
        "".join(f"\\u{ord(letter):04X}" for letter in KEY),
        "".join(f"%{ord(letter):02x}" for letter in KEY),
        "".join(f"&#{ord(letter)};" for letter in KEY),
        "".join(f"&#x{ord(letter):x};" for letter in KEY),
    ],
)
def test_a_key_that_comes_back_is_blotted_out_however_it_is_written(written: str) -> None:
    with running() as model:
        model.answer = lambda body: f"a {written} b"
        assert "[key]" in ask(endpoint(model), prompt())[0]
        assert Secret(KEY).clean(f"{'x' * 199}{written}").startswith("x" * 199 + "[key]" if written[0] != '"' else "x")


@pytest.mark.parametrize("key", ['a"b/c\\d', "sk.*+(?", "sk-" + "x" * 4000])
def test_keys_of_any_letters_are_found(key: str) -> None:
    assert key not in json.loads(Secret(key).clean(json.dumps({"row": f"my {key}"})))["row"]
    assert Secret(f"{key}\n").key == key  # as a file gives it


@pytest.mark.parametrize("key", ["two words", "schlüssel", "a\r\nHost: b", "\x00"])
def test_what_is_no_key_is_told_without_it(key: str) -> None:
    with pytest.raises(EndpointError) as caught:
        Endpoint("http://localhost:1", "m", key=key)
    assert key not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("listed", "title"),
    [
        ("/home/ann/models/gemma.gguf", "gemma.gguf"),
        ("C:\\Users\\ann\\gemma.gguf", "gemma.gguf"),
        ("~/models/gemma/", "gemma"),
        ("models/of/ann", "ann"),
        ("google/gemma-3-270m", "google/gemma-3-270m"),
        (f"gemma of {KEY}", "gemma of [key]"),
    ],
)
def test_models_are_told_without_folders_and_keys(listed: str, title: str) -> None:
    with running() as model:
        model.listed = listed
        server = endpoint(model, model=None)
        assert (server.model, server.title) == (listed, title)


def test_nobody_is_sent_elsewhere_with_the_key() -> None:
    with running() as other, running() as model:
        model.faults = [f"307 {other.url}/chat/completions"]
        with pytest.raises(EndpointError, match="another address"):
            ask(endpoint(model), prompt())
        assert not other.asked


def test_an_answer_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gemmalocal.synthesis.endpoint.LONGEST", 1000)
    for stream in (True, False):
        with running() as model:
            model.stream, model.answer = stream, lambda body: "word " * 1000
            (answer,) = ask(endpoint(model), prompt()).values()
            assert answer == Unanswered("The answer does not end.")


@pytest.mark.parametrize(
    "given",
    [
        {"url": "http://me:word@host/v1"},
        {"url": "http://host/v1?api_key=abc"},
        {"url": "http://host/v1#abc"},
        {"url": "http://host/sk-abcdefghijklmnopqrstuvwxyz/v1"},
        {"url": "http://host/v1", "key_env": "hf_abcdefghijklmnopqrstuvwxyz"},
        {"url": "http://host/v1", "key_env": "sk-abc"},
    ],
)
def test_no_key_is_taken_where_it_would_be_kept(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="key_env"):
        EndpointSpec.model_validate(given)


def test_nothing_listens() -> None:
    with running() as model:
        url = model.url
    with pytest.raises(EndpointError, match="Nothing answers at"):
        ask(Endpoint(url, "m"), prompt())


def test_a_schema_is_sent_until_the_server_says_that_it_knows_none() -> None:
    with running() as model:
        model.faults, model.answer = ["no response_format"], lambda body: "fine"
        server = endpoint(model, concurrency=1)
        assert ask(server, prompt("a", SCHEMA), prompt("b", SCHEMA)) == {0: "fine", 1: "fine"}
        assert ["response_format" in body for body in model.asked] == [True, False, False]
        assert model.asked[0]["response_format"]["json_schema"]["schema"] == SCHEMA


@pytest.mark.parametrize("usage", [{"prompt_tokens": 9, "completion_tokens": 4}, {"total_tokens": 1}, None, "much"])
@pytest.mark.parametrize("stream", [True, False])
def test_what_an_answer_cost_is_as_the_server_counts_it(usage: Any, stream: bool) -> None:
    with running() as model:
        model.stream, model.answer = stream, lambda body: "fine"
        model.usage = usage
        counted = Usage(9, 4) if isinstance(usage, dict) and "prompt_tokens" in usage else None
        assert dict(endpoint(model)([prompt()])) == {0: Answer("fine", counted)}
        assert model.asked[0]["stream_options"] == {"include_usage": True}
        if counted:
            model.usage = {**usage, "prompt_tokens_details": {"cached_tokens": 7}}
            assert dict(endpoint(model)([prompt()])) == {0: Answer("fine", Usage(9, 4, 7))}


def test_a_server_that_does_not_count_keeps_the_schema_and_one_long_passage_changes_nothing() -> None:
    with running() as model:
        model.faults, model.answer = ["no stream_options"], lambda body: "fine"
        server = endpoint(model, concurrency=1)
        assert ask(server, prompt("a", SCHEMA), prompt("b", SCHEMA)) == {0: "fine", 1: "fine"}
        sent = [[key for key in ("response_format", "stream_options") if key in body] for body in model.asked]
        assert sent == [["response_format", "stream_options"], ["response_format"], ["response_format"]]
        model.faults = ["400"] * 2  # as for a prompt that is longer than the model's context
        answers = ask(server, prompt("long", SCHEMA), prompt("c", SCHEMA))
        assert "refuses the request (400)" in answers[0].reason
        assert answers[1] == "fine"
        assert "response_format" in model.asked[-1]
