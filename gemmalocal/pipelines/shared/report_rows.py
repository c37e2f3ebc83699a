"""The held-out rows of a run as a report asks them: what each asks for, what it should be, its document, its copies."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gemmalocal.data import token_store
from gemmalocal.data.examples import Example
from gemmalocal.data.layout import LayoutForm
from gemmalocal.data.token_store import Examples
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.documents.duplicates import NearDuplicates
from gemmalocal.errors import DatasetError
from gemmalocal.evaluation.calls import is_marked
from gemmalocal.jobs.events import Event, Progress
from gemmalocal.pipelines.shared.held_out_calls import call_span
from gemmalocal.recipe.schema import Recipe
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE

SHARE = 3  # of plain text the first third is given, the rest is to be written
COMPARED = 20_000  # rows to train on among which copies are looked for
ALIKE = 0.8  # as `duplicates.likeness` has it: rows of one task share more of their words than documents do
COPIES = "train "  # before the number of a row to train on, among names


@dataclass(frozen=True)
class AskedRow:
    """A held-out row: the ids that a model goes on from, both parts as text, and whether a prompt stands in front.

    `cluster` is its document where that is known, else where it came from. Of a pair it is the chosen answer;
    `rejected` is the other one.
    """

    example: Example
    source: str
    cluster: str
    prompt_ids: list[int]
    prompt: str
    reference: str
    is_reply: bool
    rejected: Example | None = None

    @property
    def tokens(self) -> int:
        """How many are supervised and predicted."""
        return int(self.example.weights[1:].sum())

    @property
    def reply_ids(self) -> NDArray[np.int32]:
        """The ids of the reference, its end among them."""
        return self.example.ids[len(self.prompt_ids) :]


def asked_rows(store: Path, recipe: Recipe, tokenizer: Tokenizer, form: LayoutForm, count: int) -> list[AskedRow]:
    """So many held-out rows of a run, drawn by the recipe's seed; raises `DatasetError` where too few were held out.

    Of answers that were judged only the good ones: nobody wants to hear the others.
    """
    if not token_store.exists(store):
        raise DatasetError("The run's rows are gone, so there is nothing to measure with.", "Train it again.")
    _, held_out, _ = token_store.load(store)
    held_out, group = held_out.rated(good=True), held_out.group
    if held_out.groups < 2:
        held = "a single row" if len(held_out) else "no rows"
        raise DatasetError(
            f"The run held {held} out, so nothing can tell whether it helped.",
            "Train it again with data.split, such as --set data.split=0.1.",
        )
    drawn = held_out.drawn(count, recipe.train.seed)
    sources = drawn.sources(len(drawn))
    documents = _documents(recipe, sources)
    rows = [
        _asked(drawn[index], source, documents.get(source, source), tokenizer, form)
        for index, source in list(enumerate(sources))[::group]
    ]
    if group == 2:
        rows = [replace(row, rejected=drawn[2 * number + 1]) for number, row in enumerate(rows)]
    return rows


def bad_examples(store: Path, count: int, seed: int) -> list[Example]:
    """So many held-out answers that were rated bad, drawn by a seed; none where answers were not rated."""
    _, held_out, _ = token_store.load(store)
    drawn = held_out.rated(good=False).drawn(count, seed)
    return [drawn[index] for index in range(len(drawn))]


def _asked(example: Example, source: str, cluster: str, tokenizer: Tokenizer, form: LayoutForm) -> AskedRow:
    ids: list[int] = example.ids.tolist()
    start, end = _reply_start(example) if form != "text" else max(2, len(ids) // SHARE), len(ids)
    if form == "chat" and is_marked(tokenizer.decode(ids)):
        start, end = call_span(example, tokenizer)
        example = example.part(None, end)
        ids = ids[:end]
    prompt, reference = tokenizer.decode(ids[:start]), tokenizer.decode(ids[start:])
    return AskedRow(example, source, cluster, ids[:start], prompt, reference.strip(), form != "text")


def _reply_start(example: Example) -> int:
    """Where the last reply begins: of a conversation of many turns that is what is asked for."""
    supervised = example.weights > 0
    last = int(np.flatnonzero(supervised)[-1])
    before = np.flatnonzero(~supervised[:last])
    return max(1, int(before[-1]) + 1 if len(before) else 1)


def _documents(recipe: Recipe, sources: Sequence[str]) -> dict[str, str]:
    """The document of each row (`file:line`) of a dataset that was prepared here, by what stands in that line."""
    documents: dict[str, str] = {}
    for source in recipe.data.sources:
        for name in (HELD_OUT_FILE, TRAIN_FILE):
            numbers = {int(number) for file, _, number in (text.rpartition(":") for text in sources) if file == name}
            documents |= {f"{name}:{number}": text for number, text in _named(Path(source.path) / name, numbers)}
    return documents


def _named(file: Path, numbers: set[int]) -> Iterator[tuple[int, str]]:
    """Of some lines of a file, the document that each names."""
    if not numbers or not file.is_file():
        return
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(islice(lines, max(numbers)), 1):
            if number in numbers:
                try:
                    row = json.loads(line)
                except ValueError:
                    continue
                if isinstance(row, dict) and isinstance(row.get("source"), str):
                    yield number, row["source"]


def near_copies(
    store: Path, rows: Sequence[AskedRow], tokenizer: Tokenizer, seed: int
) -> Generator[Event, None, list[str]]:
    """For each held-out row the row to train on that it nearly copies ("" for none); yields progress.

    What all held-out rows begin with (a system text) does not count. Of many rows to train on a sample is looked at.
    """
    train, _, _ = token_store.load(store)
    looked_at = train.drawn(COMPARED, seed)
    texts = [row.prompt + row.reference for row in rows]
    shared = len(os.path.commonprefix(texts)) if len(texts) > 1 else 0
    known = NearDuplicates(ALIKE)
    for index in range(len(looked_at)):
        known.original(f"{COPIES}{index}", tokenizer.decode(looked_at[index].ids.tolist())[shared:])
        if index % 500 == 0:
            yield Progress("looking for copies of rows to train on", index, len(looked_at))
    copied = [known.original("", text[shared:]) or "" for text in texts]
    numbers = [int(name.removeprefix(COPIES)) for name in copied if name]
    sources = _sources(looked_at, numbers)
    return [sources[int(name.removeprefix(COPIES))] if name else "" for name in copied]


def _sources(examples: Examples, numbers: Sequence[int]) -> dict[int, str]:
    """Where some of the examples came from, by their numbers."""
    if not numbers:
        return {}
    every = examples.sources(max(numbers) + 1)
    return {number: every[number] for number in numbers}


def swapped(rows: Sequence[AskedRow]) -> list[Example | None]:
    """Each row's question with the answer of another: as far as rows ask different things, and answer differently."""
    if len({row.prompt for row in rows}) <= len(rows) // 2 or not all(row.is_reply for row in rows):
        return [None] * len(rows)
    made: list[Example | None] = []
    for number, row in enumerate(rows):
        others = (rows[(number + step) % len(rows)] for step in range(1, len(rows)))
        other = next((other for other in others if other.reference != row.reference), None)
        made.append(_with_reply(row, other.reply_ids) if other else None)
    return made


def _with_reply(row: AskedRow, reply: NDArray[np.int32]) -> Example:
    ids = np.concatenate([np.array(row.prompt_ids, np.int32), reply])
    weights = np.zeros(len(ids), np.float32)
    weights[len(row.prompt_ids) :] = 1
    return Example(ids, weights)
