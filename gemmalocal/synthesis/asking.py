"""What it is to ask a model, whoever it is; and answers kept by the content of the question."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from gemmalocal.files import json_lines
from gemmalocal.records import Message


@dataclass(frozen=True)
class Prompt:
    """A conversation that ends with a user's turn, and the JSON schema that its answer should have."""

    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None

    def with_correction(self, answer: str, problem: str) -> Prompt:
        """The conversation gone on: what was answered, and what is wrong with it."""
        turns = (Message("assistant", answer or "(nothing)"), Message("user", problem))
        return Prompt((*self.messages, *turns), self.schema)


@dataclass(frozen=True)
class Unanswered:
    """A prompt that got no answer; `reason` is a sentence. It is never kept, so that another run asks again."""

    reason: str


class Usage(NamedTuple):
    """Tokens that answers cost: of prompts, of what was written, and those of the prompts that a server had cached."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Answer:
    """What a model wrote, and what that cost; None if it did not say."""

    text: str
    usage: Usage | None = None


# Answers each prompt once, in any order, by its number; raises what makes it useless to ask any more. Prompts are taken
# one by one as there is room for them, so that some may be made of the answers to others.
AskModel = Callable[[Iterable[Prompt]], Iterator[tuple[int, Answer | Unanswered]]]
AskAuthor = Callable[[Iterable[Prompt]], Iterator[tuple[int, str | Unanswered]]]

KNOWN = 64  # known answers in a row that are handed on before more prompts are looked at


class Remembered:
    """An `AskAuthor` that keeps each answer in a file of JSON lines as soon as it comes, and asks nothing twice.

    `author` names who answers and how (model, settings): an answer is found again by it and the prompt's content.
    `count` is the cost of an answer whose model did not tell it.
    """

    def __init__(
        self,
        file: Path,
        ask: AskModel,
        author: str,
        count: Callable[[Prompt, str], Usage] = lambda prompt, answer: Usage(),
    ) -> None:
        self._file, self._ask, self._author, self._count = file, ask, author, count
        self._answers = dict(_stored_answers(file))
        self._used = set[str]()  # keys of the answers that were asked for
        self.asked = self.reused = 0
        self.usage = Usage()  # of all answers that were asked for, also those known from before, each once

    def __call__(self, prompts: Iterable[Prompt]) -> Iterator[tuple[int, str | Unanswered]]:
        """Each prompt's answer by its number: those known at once, the others as they come."""
        waiting = enumerate(prompts)
        with json_lines.growing(self._file) as file:
            while True:
                pulled = _Pulled()
                for number, answer in self._ask(self._unknown(waiting, pulled)):
                    key, prompt = pulled.asked[number]
                    self.asked += 1
                    if isinstance(answer, Answer):
                        self._keep(file, key, prompt, answer)
                    text = answer.text if isinstance(answer, Answer) else answer
                    yield from ((index, text) for index in pulled.indices.pop(key))
                    yield from pulled.take_known()
                yield from pulled.take_known()
                if not pulled.any:
                    return

    def _unknown(self, waiting: Iterator[tuple[int, Prompt]], pulled: _Pulled) -> Iterator[Prompt]:
        """The prompts that must be asked; answers to the others are put into `pulled`."""
        for index, prompt in waiting:
            pulled.any = True
            key = self._key(prompt)
            if key in self._answers:
                self.reused += 1
                self._spend(key, prompt)
                pulled.known.append((index, self._answers[key].text))
                if len(pulled.known) >= KNOWN:
                    return
            elif key in pulled.indices:
                pulled.indices[key].append(index)
            else:
                pulled.indices[key] = [index]
                pulled.asked.append((key, prompt))
                yield prompt

    def _keep(self, file: IO[bytes], key: str, prompt: Prompt, answer: Answer) -> None:
        usage = answer.usage or self._count(prompt, answer.text)
        self._answers[key] = Answer(answer.text, usage)
        self._spend(key, prompt)
        json_lines.add(file, [{"key": key, "answer": answer.text, "tokens": usage}])

    def _spend(self, key: str, prompt: Prompt) -> None:
        if key not in self._used:
            self._used.add(key)
            answer = self._answers[key]
            self.usage = self.usage.plus(answer.usage or self._count(prompt, answer.text))

    def _key(self, prompt: Prompt) -> str:
        turns = [(message.role, message.content) for message in prompt.messages]
        whole = json.dumps([self._author, turns, prompt.schema], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()


@dataclass
class _Pulled:
    """What was pulled for one call of a model: prompts asked (and whose), and numbers of prompts with known answers."""

    asked: list[tuple[str, Prompt]] = field(default_factory=list)  # key and prompt, by the model's number
    indices: dict[str, list[int]] = field(default_factory=dict)  # by key: the numbers of the prompts under way
    known: deque[tuple[int, str]] = field(default_factory=deque)
    any: bool = False

    def take_known(self) -> Iterator[tuple[int, str]]:
        """The known answers, each once."""
        while self.known:
            yield self.known.popleft()


def _stored_answers(file: Path) -> Iterator[tuple[str, Answer]]:
    """The answers in a file."""
    for entry in json_lines.stored(file):
        with suppress(ValueError, KeyError, TypeError):
            usage = Usage(*map(int, entry["tokens"])) if "tokens" in entry else None
            yield entry["key"], Answer(entry["answer"], usage)
