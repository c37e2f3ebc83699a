"""What OpenAI's own client asks, and what lm-eval sends (benchmarks.lm_eval_served runs it), against both servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx2
import numpy as np
import pytest

from tests.serving.conftest import NAME, POSITIONS, Served

if TYPE_CHECKING:  # a second to import, in each process that collects this file
    import openai

IDS = [2, 264, 270, 271, 263, 274]  # begins with <bos>


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    import openai

    with openai.OpenAI(base_url=served.url, api_key="none", max_retries=0, timeout=60) as client:
        yield client


def test_openai_chat(client: openai.OpenAI) -> None:
    asked: Any = [{"role": "system", "content": "short"}, {"role": "user", "content": "the quote"}]
    whole = client.chat.completions.create(model=NAME, messages=asked, max_tokens=8, logprobs=True, top_logprobs=3)
    (choice,) = whole.choices
    assert whole.usage is not None
    assert choice.finish_reason == "length"
    assert whole.usage.completion_tokens == 8
    assert choice.logprobs is not None
    assert [len(token.top_logprobs) for token in choice.logprobs.content or ()] == [3] * 8
    assert all(token.logprob == token.top_logprobs[0].logprob for token in choice.logprobs.content or ())
    stream = client.chat.completions.create(
        model=NAME, messages=asked, max_tokens=8, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == choice.message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage == whole.usage
    two = client.chat.completions.create(model=NAME, messages=asked, max_completion_tokens=4, n=2)
    assert [one.index for one in two.choices] == [0, 1]


def test_openai_completions(client: openai.OpenAI) -> None:
    whole = client.completions.create(model=NAME, prompt=["the", "quo"], max_tokens=6, logprobs=2, echo=True)
    assert [choice.text[:3] for choice in whole.choices] == ["the", "quo"]
    stream = client.completions.create(model=NAME, prompt=["the", "quo"], max_tokens=6, echo=True, stream=True)
    said = ["", ""]
    for chunk in stream:
        said[chunk.choices[0].index] += chunk.choices[0].text
    assert said == [choice.text for choice in whole.choices]


def test_openai_models(client: openai.OpenAI) -> None:
    (model,) = client.models.list()
    assert client.models.retrieve(NAME) == model


def test_openai_errors_are_its_exceptions(client: openai.OpenAI, served: Served) -> None:
    import openai

    one: Any = [{"role": "user", "content": "a"}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=NAME, messages=one, temperature=9)
    assert caught.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model=NAME, prompt=[5] * (POSITIONS + 1))
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=NAME, messages=one, extra_body={"guided_regex": "a+"})
    assert "guided_regex" in caught.value.message
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model=NAME, input="a")
    with pytest.raises(openai.PermissionDeniedError):
        client.with_options(default_headers={"Origin": "https://example.org"}).models.list()
    with pytest.raises(openai.APIStatusError) as large:
        client.completions.create(model=NAME, prompt="a" * 9_000_000)
    assert large.value.status_code == 413


def test_openai_leaves_in_the_midst_of_a_stream(client: openai.OpenAI) -> None:
    """And is answered again, where one request is answered at a time."""
    for _ in range(3):
        with client.completions.create(model=NAME, prompt="the", max_tokens=10**6, stream=True) as stream:
            next(iter(stream))
    assert client.completions.create(model=NAME, prompt="the", max_tokens=1).choices


def likelihoods(served: Served, prompts: list[list[int]] | str) -> list[dict[str, Any]]:
    """As lm-eval's local-completions asks for them."""
    more = {"model": NAME, "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": True}
    return [choice["logprobs"] for choice in served.complete(prompt=prompts, **more)["choices"]]


def test_the_prompts_log_probabilities_are_those_of_its_continuations(served: Served) -> None:
    """Each token's is what the prompt before it gives, as a generated one's: both ways tell the same."""
    (told,) = likelihoods(served, [IDS])
    assert len(told["token_logprobs"]) == len(IDS) + 1
    assert told["token_logprobs"][0] is None
    for place in range(1, len(IDS)):
        body = {"prompt": IDS[:place], "max_tokens": 1, "logprobs": 20}
        (next_ones,) = served.complete(**body)["choices"][0]["logprobs"]["top_logprobs"]
        best = max(next_ones.values())
        assert max(told["top_logprobs"][place].values()) == pytest.approx(best, abs=0.02)
        assert told["token_logprobs"][place] <= best + 0.02
    greedy = served.complete(prompt=IDS, max_tokens=4, logprobs=0)["choices"][0]["logprobs"]["token_logprobs"]
    assert told["token_logprobs"][-1] == pytest.approx(greedy[0], abs=0.02)


def test_likelihoods_sum_to_one_over_all_that_may_follow(served: Served) -> None:
    """Over bytes that are parts of a letter, and the marks of an end, too."""
    prompts = [[2, number] for number in range(310)]
    parts = [likelihoods(served, prompts[start : start + 100]) for start in range(0, 310, 100)]
    last = [told["token_logprobs"][1] for part in parts for told in part]
    assert {len(told["token_logprobs"]) for part in parts for told in part} == {3}
    assert np.exp(last).sum() == pytest.approx(1, abs=1e-3)


def test_lm_eval_asks_texts_and_ids_alike(served: Served) -> None:
    text, ids = likelihoods(served, "the quo")[0], likelihoods(served, [[2, 272, 262, 276]])[0]
    assert text["tokens"][0] == "the"  # <bos> is ours, and not in the text
    assert len(text["token_logprobs"]) == len(ids["token_logprobs"]) - 1 or text["tokens"] != ids["tokens"][1:]
    assert all(isinstance(logprob, float) for logprob in text["token_logprobs"])


def test_what_was_asked_before_is_answered_alike(served: Served) -> None:
    """Of a prompt that an engine has read as a whole, as a part, and as its own answer."""
    wanted = [served.complete(prompt=IDS[:length])["choices"] for length in range(1, len(IDS) + 1)]
    likelihoods(served, [IDS])
    for length in (*range(len(IDS), 0, -1), 3, 3):
        assert served.complete(prompt=IDS[:length])["choices"] == wanted[length - 1]
    said = "the quo"
    for _ in range(4):
        one = served.complete(prompt=said, max_tokens=3)["choices"]
        assert served.complete(prompt=said, max_tokens=3)["choices"] == one
        said += one[0]["text"]


def test_lm_eval_generates(served: Served) -> None:
    """The bodies of its local-completions and local-chat-completions, as version 0.4.13 sends them."""
    more = {"model": NAME, "max_tokens": 8, "temperature": 0, "stop": ["\n", "<eos>"], "seed": 1234}
    for prompt in ([IDS, IDS[:3]], [IDS], "the quote"):
        found = served.post("/completions", prompt=prompt, **more)
        assert found.status_code == 200
        assert len(found.json()["choices"]) == (len(prompt) if isinstance(prompt, list) else 1)
    chat = {"messages": [{"role": "user", "content": "the sky:", "type": "text"}], **more}
    found = served.post("/chat/completions", **chat)
    assert isinstance(found.json()["choices"][0]["message"]["content"], str)


def test_likelihoods_end_with_their_client(served: Served) -> None:
    """A prompt as long as the context is scored token by token by llama.cpp, and not for who has gone."""
    with pytest.raises(httpx2.ReadTimeout):
        served.client.post(
            f"{served.url}/completions",
            json={"prompt": [IDS * 1000], "n": 4, "max_tokens": 1, "logprobs": 1, "echo": True},
            timeout=0.05,
        )
    assert served.complete(prompt="a")
