"""Text to a voice's ids and its ids to text; several voices at once, step by step."""

from __future__ import annotations

import string
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from gemmalocal.backends.protocol import Generator, Sampling
from gemmalocal.data.layout import Layout
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.recipe.data_spec import PromptTemplate
from gemmalocal.records import Message

RowTemplate = str | PromptTemplate | None
HALF = "\N{REPLACEMENT CHARACTER}"  # what bytes that are no whole character are decoded to


@dataclass(frozen=True)
class ChatModel:
    """A name, the weights that it speaks with, and the layout of what it was trained on (see `events.Voices`)."""

    name: str
    generator: Generator
    number: int  # its adapter there; 0 is the base
    tokenizer: Tokenizer
    layout: Layout
    template: RowTemplate = None

    def prompt(self, text: str, system: str, history: Sequence[tuple[str, str]]) -> str:
        """What the model is given: for chat after the questions and answers of its `history`, else alone."""
        turns = [
            Message(role, content)
            for pair in history
            for role, content in zip(("user", "assistant"), pair, strict=True)
        ]
        return self.prompt_of([*turns, Message("user", text)], system)

    def prompt_of(self, turns: Sequence[Message], system: str, tools: str = "") -> str:
        """The same of turns, the last of a user or a tool; `tools` as a record has them. Alone is the last question."""
        if self.layout.form != "chat":
            asked = next((turn.content for turn in reversed(turns) if turn.role == "user"), "")
            turns, tools = [Message("user", as_row_begins(asked, self.template))], ""
        system_messages = [Message("system", system)] if system else []
        return self.layout.prompt_text(self.tokenizer, [*system_messages, *turns], tools)


def as_row_begins(text: str, template: RowTemplate) -> str:
    """A question as the rows of a template begin: "Imagination is" as "Quote: Imagination is".

    Only what stands around the first column is put around it, and nothing if the text begins so already.
    """
    if template is None:
        return text
    fields = list(string.Formatter().parse(template if isinstance(template, str) else template.prompt))
    opening = fields[0][0]
    if text.startswith(opening.rstrip()) and opening.strip():
        return text
    columns = [name for _, name, _, _ in fields if name]
    is_whole_prompt = isinstance(template, PromptTemplate) and len(columns) == 1
    return opening + text + (fields[1][0] if is_whole_prompt and len(fields) > 1 else "")


class Detokenizer:
    """Ids to text as they come: never half a character, and no special token."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._ids = tokenizer, list[int]()
        self.text = ""

    def add(self, token: int) -> str:
        """The text that an id adds; empty while a character is not whole."""
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids)
        return "" if text.endswith(HALF) else self._grown(text)

    def end(self) -> str:
        """What was held back."""
        return self._grown(self._tokenizer.decode(self._ids))

    def _grown(self, text: str) -> str:
        addition, self.text = text[len(self.text) :], text
        return addition


class VoiceStep(NamedTuple):
    """What a step added to the answer of a voice; `stopped` (see `events.Replied`) once it has ended."""

    voice: int
    text: str
    answer: str
    tokens: int
    seconds: float
    first_seconds: float
    stopped: str


def speak(
    voices: Sequence[ChatModel], prompts: Sequence[str], sampling: Sampling, keep_going: Callable[[], bool]
) -> Iterator[VoiceStep]:
    """Let each voice answer its prompt, all at the same time, until they end or are not `wanted` any longer."""
    begin = time.monotonic()
    detokenizers = [Detokenizer(voice.tokenizer) for voice in voices]
    tokens, first_seconds, unfinished = [0] * len(voices), [0.0] * len(voices), set(range(len(voices)))

    def step_of(index: int, text: str, stopped: str) -> VoiceStep:
        text += detokenizers[index].end() if stopped else ""
        seconds = time.monotonic() - begin
        return VoiceStep(index, text, detokenizers[index].text, tokens[index], seconds, first_seconds[index], stopped)

    for step in _steps(voices, prompts, sampling):
        for index, token in step.items():
            if index not in unfinished or token is None:
                continue
            tokens[index] += 1
            first_seconds[index] = first_seconds[index] or time.monotonic() - begin
            ended = token in voices[index].tokenizer.stop_ids
            stopped = "end" if ended else "length" if tokens[index] == sampling.max_tokens else ""
            text = "" if ended else detokenizers[index].add(token)
            unfinished -= {index} if stopped else set()
            yield step_of(index, text, stopped)
        if unfinished and not keep_going():
            break
    yield from (step_of(index, "", "asked") for index in sorted(unfinished))


def _steps(voices: Sequence[ChatModel], prompts: Sequence[str], sampling: Sampling) -> Iterator[dict[int, int | None]]:
    """The ids of each step by the voice's place: one forward pass for the voices that share weights."""
    shared: dict[int, list[int]] = {}
    for index, voice in enumerate(voices):
        shared.setdefault(id(voice.generator), []).append(index)
    streams = []
    for indices in shared.values():
        model = voices[indices[0]]
        ids = [voices[index].tokenizer.encode(prompts[index]) for index in indices]
        numbers = [voices[index].number for index in indices]
        streams.append(model.generator.stream(ids, numbers, sampling, model.tokenizer.stop_ids))
    for tokens_by_stream in zip_longest(*streams, fillvalue=()):
        yield {
            index: token
            for indices, ids in zip(shared.values(), tokens_by_stream, strict=True)
            for index, token in zip(indices, ids, strict=False)
        }
