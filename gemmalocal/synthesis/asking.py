"""What it is to ask a model, whoever it is; and answers kept by the content of the question."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


# Answers each prompt once, in any order, by its place; raises what makes it useless to ask any more.
AskAuthor = Callable[[Sequence[Prompt]], Iterator[tuple[int, str | Unanswered]]]


class Remembered:
    """An `AskAuthor` that keeps each answer in a file of JSON lines as soon as it comes, and asks nothing twice.

    `author` names who answers and how (model, settings): an answer is found again by it and the prompt's content.
    """

    def __init__(self, file: Path, ask: AskAuthor, author: str) -> None:
        self._file, self._ask, self._author = file, ask, author
        self._answers = dict(_stored_answers(file))
        self.asked = self.reused = 0

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, str | Unanswered]]:
        """Each prompt's answer by its place: those known first, then the others as they come."""
        indices: dict[str, list[int]] = {}
        for index, prompt in enumerate(prompts):
            indices.setdefault(self._key(prompt), []).append(index)
        new = [key for key in indices if key not in self._answers]
        for key in indices.keys() - set(new):
            self.reused += len(indices[key])
            yield from ((index, self._answers[key]) for index in indices[key])
        if not new:
            return
        with self._file.open("ab") as file:
            for number, answer in self._ask([prompts[indices[key][0]] for key in new]):
                self.asked += 1
                if isinstance(answer, str):
                    self._answers[new[number]] = answer
                    file.write(json.dumps({"key": new[number], "answer": answer}).encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                yield from ((index, answer) for index in indices[new[number]])

    def _key(self, prompt: Prompt) -> str:
        turns = [(message.role, message.content) for message in prompt.messages]
        whole = json.dumps([self._author, turns, prompt.schema], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()


def _stored_answers(file: Path) -> Iterator[tuple[str, str]]:
    """The answers in a file; a last line that a kill has torn is cut off, so that the next one stands alone."""
    if not file.exists():
        return
    with file.open("r+b") as lines:
        complete = 0
        for line in lines:
            if not line.endswith(b"\n"):
                break
            complete += len(line)
            try:
                entry = json.loads(line)
                yield entry["key"], entry["answer"]
            except (ValueError, KeyError, TypeError):
                continue
        lines.truncate(complete)
