"""Losses and greedy answers of models on the same rows, kept by their content, so that nothing is asked twice."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gemmalocal.backends.protocol import Sampling
from gemmalocal.backends.scoring import across
from gemmalocal.data.examples import Example
from gemmalocal.engine.generation import ChatModel
from gemmalocal.evaluation.measured import Answer
from gemmalocal.files import atomic, json_lines
from gemmalocal.jobs.events import Event, Progress
from gemmalocal.pipelines import Commands, stop_asked
from gemmalocal.pipelines.shared.answer_batches import SCORED, batches
from gemmalocal.pipelines.shared.background import Stopped

ROWS, TOKENS = 10, 1536  # answered at once, by each model and by all: a report takes little more memory than a chat
QUIET = 2.0  # seconds without a word about the progress
Entry = dict[str, Any]


class Model(NamedTuple):
    """A model that is measured, and what tells its weights from any others'."""

    speaker: ChatModel
    identity: str


class Kept:
    """What was measured, a line each in a file; a torn line is measured again."""

    def __init__(self, path: Path) -> None:
        self._path, self._entries, self._used = path, dict[str, Entry](), dict[str, Entry]()
        for entry in json_lines.stored(path):
            with suppress(KeyError, TypeError):
                self._entries[entry["key"]] = entry

    def has(self, key: str) -> bool:
        """Whether that was measured."""
        return key in self._entries

    def __getitem__(self, key: str) -> Entry:
        entry = self._used[key] = self._entries[key]
        return entry

    def add(self, entries: Sequence[Entry]) -> None:
        """Keep some more."""
        self._entries |= {entry["key"]: entry for entry in entries}
        with json_lines.growing(self._path) as file:
            json_lines.add(file, entries)

    def tidy(self) -> None:
        """Forget what no row has asked for: what other weights said."""
        atomic.write_text(self._path, "".join(f"{json.dumps(entry)}\n" for entry in self._used.values()))


def key_of(models: Sequence[Model], *parts: object) -> str:
    """A name for what some models make of some content."""
    digest = hashlib.sha256()
    for part in (*(model.identity for model in models), *parts):
        digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        digest.update(b"\x00")
    return digest.hexdigest()[:32]


class Scored(NamedTuple):
    """Summed nats of an example by each model, and KL(first || model)."""

    nats: list[float]
    kl: list[float | None]  # None: kept by an older version, of models that share no weights


def score(
    models: Sequence[Model], examples: Sequence[Example], kept: Kept, commands: Commands, what: str
) -> Generator[Event, None, list[Scored]]:
    """What each model makes of each example; yields progress, raises `Stopped`."""
    keys = [key_of(models, "loss", example.ids, example.weights) for example in examples]
    missing = sorted(
        (number for number, key in enumerate(keys) if not kept.has(key)), key=lambda number: len(examples[number].ids)
    )
    progress = TimedProgress(what, len(examples), len(examples) - len(missing))
    tokens = [len(example.ids) * len(models) for example in examples]
    for batch in batches(missing, tokens, len(missing), SCORED):
        scored = _scored(models, [examples[number] for number in batch])
        kept.add(
            [
                {"key": keys[number], "nats": one.nats, "kl": one.kl}
                for number, one in zip(batch, scored, strict=True)
            ]
        )  # fmt: skip
        yield progress.more(len(batch))
        check_stop(commands)
    return [Scored(kept[key]["nats"], kept[key]["kl"]) for key in keys]


def _scored(models: Sequence[Model], examples: Sequence[Example]) -> list[Scored]:
    """One forward pass for models that share weights; those that do not are held against each other in step."""
    numbers = [model.speaker.number for model in models]
    if len(_sharing(models)) == 1:
        scores = models[0].speaker.generator.score(examples, numbers)
    else:
        speakers = [model.speaker for model in models]
        scores = across(examples, [speaker.generator.logits(examples, speaker.number) for speaker in speakers])
    return [Scored(*of_row) for of_row in zip(scores.nats.tolist(), scores.kl.tolist(), strict=True)]


def answer(
    models: Sequence[Model],
    prompts: Sequence[Sequence[int]],
    max_tokens: Sequence[int] | int,
    kept: Kept,
    commands: Commands,
    what: str,
) -> Generator[Event, None, list[list[Answer]]]:
    """The greedy answers of all models to each prompt; yields progress, raises `Stopped`."""
    limit = max_tokens if isinstance(max_tokens, int) else max(max_tokens)
    keys = [[key_of([model], "answer", list(prompt), limit) for model in models] for prompt in prompts]
    missing = sorted(
        (number for number, of_prompt in enumerate(keys) if not all(map(kept.has, of_prompt))),
        key=lambda number: len(prompts[number]),
    )
    progress = TimedProgress(what, len(prompts), len(prompts) - len(missing))
    groups = _sharing(models)
    tokens = [(len(prompt) + limit) * len(models) for prompt in prompts]
    for batch in batches(missing, tokens, ROWS, TOKENS):
        entries: list[Entry] = []
        for group, places in enumerate(groups):
            asked = [prompts[number] for number in batch]
            of_group = [[keys[number][place] for number in batch] for place in places]
            work = _answered([models[place] for place in places], asked, limit, of_group, commands)
            entries += yield from _told(work, progress, len(batch) * group / len(groups), len(batch) / len(groups))
        kept.add(entries)
        yield progress.more(len(batch))
    return [
        [Answer(*(kept[key][name] for name in ("text", "tokens", "ended"))) for key in of_prompt] for of_prompt in keys
    ]


def _told(
    work: Generator[float, None, list[Entry]], progress: TimedProgress, before: float, rows: float
) -> Generator[Event, None, list[Entry]]:
    """Progress inside a batch, of which `before` rows were done when `work` on `rows` of them began."""
    while True:
        try:
            share = next(work)
        except StopIteration as end:
            entries: list[Entry] = end.value
            return entries
        if progress.is_due:
            yield progress.within(before + share * rows)


def _answered(
    models: Sequence[Model],
    prompts: Sequence[Sequence[int]],
    limit: int,
    keys: Sequence[Sequence[str]],
    commands: Commands,
) -> Generator[float, None, list[Entry]]:
    """The answers of models that share weights, all in one pass, model by model; yields how much of it is done."""
    tokenizer = models[0].speaker.tokenizer
    voices = [model.speaker.number for model in models for _ in prompts]
    ids: list[list[int]] = [[] for _ in voices]
    sampling = Sampling(max_tokens=limit)
    steps = models[0].speaker.generator.stream(list(prompts) * len(models), voices, sampling, tokenizer.stop_ids)
    for number, step in enumerate(steps, 1):
        for of_answer, token in zip(ids, step, strict=True):
            if token is not None:
                of_answer.append(token)
        check_stop(commands)
        yield number / limit
    return [
        {
            "key": key,
            "text": tokenizer.decode(of_answer).strip(),
            "tokens": len(of_answer),
            "ended": bool(of_answer) and of_answer[-1] in tokenizer.stop_ids,
        }
        for key, of_answer in zip([key for of_model in keys for key in of_model], ids, strict=True)
    ]


def _sharing(models: Sequence[Model]) -> list[list[int]]:
    """Places of the models by the copy of weights that they share."""
    places: dict[int, list[int]] = {}
    for place, model in enumerate(models):
        places.setdefault(id(model.speaker.generator), []).append(place)
    return list(places.values())


def check_stop(commands: Commands) -> None:
    """Raise `Stopped` if somebody asked for it."""
    if stop_asked(commands):
        raise Stopped


class TimedProgress:
    """Progress with the time that is left, by the time that it has taken so far."""

    def __init__(self, what: str, total: int, known: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._total, self._done, self._known = what, total, known, known
        self._clock, self._start, self._told = clock, clock(), clock()

    @property
    def is_due(self) -> bool:
        """Whether nothing was told for a while."""
        return self._clock() - self._told > QUIET

    def more(self, count: int) -> Progress:
        """So many more are done."""
        self._done += count
        return self.within(0)

    def within(self, part: float) -> Progress:
        """So much of the next ones is done too."""
        self._told = self._clock()
        each = (self._told - self._start) / max(self._done + part - self._known, 1e-9)
        left = round(each * (self._total - self._done - part), 1)
        return Progress(self._what, int(self._done + part), self._total, left)
