"""Who writes: a Gemma on this machine, a server, or nobody but the rules."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path

from gemmalocal.backends import open_backend
from gemmalocal.backends.protocol import Generator, Sampling
from gemmalocal.data.tokenizer import TemplateRefused, Tokenizer
from gemmalocal.errors import EndpointError
from gemmalocal.files import hashes, paths
from gemmalocal.recipe.prepare_schema import EndpointSpec, Preparation
from gemmalocal.synthesis.asking import Answer, AskModel, Prompt, Unanswered, Usage

TOGETHER = 8  # prompts in one forward pass
QUESTION = 40  # tokens of a question that a pretrained model words


@dataclass(frozen=True)
class Author:
    """Who writes the rows: `ask` answers prompts, or is None where the rules alone write.

    `name` tells answers of one author and its settings from another's, `title` is for people; one that is not
    `instructed` (a base model) words questions only. `close` ends its connections.
    """

    ask: AskModel | None
    name: str
    title: str
    instructed: bool = True
    close: Callable[[], None] = lambda: None


def open_author(preparation: Preparation, folder: Path | None, tokenizer: Tokenizer | None) -> Author:
    """The author of a preparation; `folder` and `tokenizer` are its model's, needed only if that is to write.

    Raises `EndpointError` where a server's key is missing, and what loading a model raises.
    """
    settings = {
        "temperature": preparation.temperature,
        "max_tokens": preparation.answer_tokens,
        "seed": preparation.seed,
    }
    if preparation.author == "rules" or preparation.task == "text":
        origin = "passages" if preparation.task == "text" else "made by rules"
        return Author(None, "", f"nobody: rows are {origin}")
    if preparation.endpoint is not None:
        return _server(preparation.endpoint, settings)
    assert folder is not None
    assert tokenizer is not None
    ask = Local(open_backend("auto").generator(folder), tokenizer, preparation)
    name = json.dumps([str(folder), hashes.weight_stamps(folder), settings])
    model_name = Path(preparation.model).name if paths.expanded(preparation.model).is_dir() else preparation.model
    title = model_name if tokenizer.has_template else f"{model_name} (a base model: it words questions only)"
    return Author(ask, name, title, instructed=tokenizer.has_template)


def _server(spec: EndpointSpec, settings: dict[str, float | int]) -> Author:
    from gemmalocal.synthesis.endpoint import Endpoint

    key = os.environ.get(spec.key_env, "") if spec.key_env else ""
    if spec.key_env and not key:
        raise EndpointError(f"The environment variable {spec.key_env} is not set.", "It should hold the server's key.")
    server = Endpoint(spec.url, spec.model, key, spec.concurrency, spec.timeout, settings)
    name = json.dumps([server.url, server.model, settings])
    return Author(server, name, f"{server.title or 'the model'} at {server.url}", close=server.close)


class Local:
    """An `AskModel` of a Gemma on this machine, some prompts in one forward pass.

    An answer depends on its prompt and the settings alone: where it is sampled, each prompt is asked by itself.
    """

    def __init__(self, generator: Generator, tokenizer: Tokenizer, preparation: Preparation) -> None:
        self._generator, self._tokenizer, self._preparation = generator, tokenizer, preparation
        self._stops = set(tokenizer.stop_ids)
        if not tokenizer.has_template:  # what goes on from examples ends with its line
            self._stops |= {ids[0] for ids in tokenizer.encode_batch(["\n", "\n\n"]) if len(ids) == 1}

    def __call__(self, prompts: Iterable[Prompt]) -> Iterator[tuple[int, Answer | Unanswered]]:
        """Numbers of prompts and their answers; in one forward pass go the oldest, and those of about its length.

        A prompt that the chat template refuses comes first, with `Unanswered`.
        """
        source, waiting = enumerate(prompts), list[tuple[int, list[int]]]()
        together = 1 if self._preparation.temperature else TOGETHER
        while True:
            for number, prompt in islice(source, 2 * together - len(waiting)):
                text = self._text(prompt)
                if isinstance(text, Unanswered):
                    yield number, text
                else:
                    waiting.append((number, self._tokenizer.encode(text)))
            if not waiting:
                return
            oldest = len(min(waiting)[1])
            waiting.sort(key=lambda item: abs(len(item[1]) - oldest))  # rows of like length waste little padding
            chosen, waiting = waiting[:together], waiting[together:]
            answers = self._answers([ids for _, ids in chosen])
            yield from zip((number for number, _ in chosen), answers, strict=True)

    def _text(self, prompt: Prompt) -> str | Unanswered:
        if not self._tokenizer.has_template:
            return self._tokenizer.bos + prompt.messages[-1].content
        try:
            return self._tokenizer.render(prompt.messages, ask=True)
        except TemplateRefused as problem:
            return Unanswered(f"The prompt {problem}.")

    def _answers(self, prompts: list[list[int]]) -> list[Answer]:
        preparation, base = self._preparation, not self._tokenizer.has_template
        longest = QUESTION if base else preparation.answer_tokens
        content = sha256(str(prompts).encode()).digest()[:4] if preparation.temperature else b"\0"
        seed = preparation.seed + int.from_bytes(content, "big")
        answer_ids: list[list[int]] = [[] for _ in prompts]
        sampling = Sampling(preparation.temperature, seed=seed, max_tokens=longest)
        for step in self._generator.stream(prompts, [0] * len(prompts), sampling, self._stops):
            for ids, number in zip(answer_ids, step, strict=True):
                if number is not None and number not in self._stops:
                    ids.append(number)
        return [
            Answer(self._tokenizer.decode(ids).strip(), Usage(len(prompt), len(ids)))
            for prompt, ids in zip(prompts, answer_ids, strict=True)
        ]


def usage_of(tokenizer: Tokenizer, prompt: Prompt, answer: str) -> Usage:
    """What an answer cost, about: in the tokens of the model that passages are measured in."""
    sent = [message.content for message in prompt.messages]
    *ids, answer_ids = tokenizer.encode_batch([*sent, answer])
    return Usage(sum(map(len, ids)), len(answer_ids))
