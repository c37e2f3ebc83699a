"""A record to ids and weights: every learned assistant turn and its terminator is supervised, nothing else.

A record that compares two answers is two examples, chosen and rejected: the ids of their prompt are the same.

Pieces are tokenized one by one, as generation does it: the prompt that a model meets later has the same ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from gemmalocal.data.tokenizer import TemplateRefused, Tokenizer
from gemmalocal.data.turn_pieces import WeighedText, pieces_of_turns
from gemmalocal.recipe.data_spec import LongRows, TrainOn
from gemmalocal.records import Record, Rejected

SupervisedText = tuple[str, bool]  # text, supervised
BLOCK_ROWS, BLOCK_CHARACTERS = 512, 1 << 20  # tokenized at once, on all cores


@dataclass(frozen=True)
class Example:
    """`ids` (length,) int32 and `weights` (length,) float32: from 0 to 1, by how much a token is to be learned.

    `label` is whether the answer is good (or chosen) or bad (or rejected), where rows say so.
    """

    ids: NDArray[np.int32]
    weights: NDArray[np.float32]
    source: str = ""  # if it is remembered
    cut: bool = False
    label: bool | None = None

    @property
    def supervised(self) -> int:
        """How many tokens are learned."""
        return int(np.count_nonzero(self.weights))

    def part(self, start: int | None, end: int | None) -> Example:
        """Its tokens from `start` up to `end`."""
        return replace(self, ids=self.ids[start:end], weights=self.weights[start:end])


@dataclass(frozen=True)
class Supervision:
    """What of a row is learned: `train_on` as in `DataSpec`, and the weight of the rest of it, from 0 to 1."""

    train_on: TrainOn = "replies"
    prompt_weight: float = 0.0

    def weight(self, record: Record, index: int) -> float:
        """Of the reply at an index of a record's messages."""
        message = record.messages[index]
        last = max(place for place, other in enumerate(record.messages) if other.role == "assistant")
        if record.kind:  # judged answers have no weights
            return float(index >= record.prompt_turns)
        skipped = not message.learned or (self.train_on == "last" and index != last)
        return 0.0 if skipped else message.weight

    @property
    def given(self) -> float:
        """Weight of what is no reply."""
        return 1.0 if self.train_on == "all" else self.prompt_weight


REPLIES = Supervision()
RecordExamples = list[Example | Rejected]  # of one record; more than one if it was split, or compares two answers


def pieces(
    record: Record, tokenizer: Tokenizer, turns: bool = False, supervision: Supervision = REPLIES
) -> list[WeighedText]:
    """A record as text in order, each piece with its weight; raises `TemplateRefused`, and `ModelError` as `render`.

    A model without a chat template gets a single prompt and completion as plain text, `record.between` after the
    prompt; in `turns` if there are conversations beside it. A <bos> or <eos> that is there already is not doubled.
    """
    bos, eos = tokenizer.bos, tokenizer.eos
    if record.text:
        return [(bos, 0.0), (record.text.removeprefix(bos).removesuffix(eos) + eos, record.weight)]
    if record.is_exchange and not tokenizer.has_template and not turns:
        prompt, completion = (message.content for message in record.messages)
        opening = bos + prompt.removeprefix(bos) + record.between
        return [(opening, supervision.given), (completion.removesuffix(eos) + eos, supervision.weight(record, 1))]
    return pieces_of_turns(record, tokenizer, supervision)


def to_examples(
    records: Iterable[Record],
    tokenizer: Tokenizer,
    max_length: int,
    long_rows: LongRows = "cut",
    turns: bool = False,
    supervision: Supervision = REPLIES,
) -> Iterator[tuple[Record, RecordExamples]]:
    """Each record with its example, or the reason why it has none; a block of records is held at a time.

    A record of more than `max_length` tokens is cut, dropped, or split: plain text into windows of about equal
    length, each with a BOS; a conversation between turns, each part with the system message. What cannot be split,
    or has a prompt of its own, is cut. `turns` as for `pieces`. Raises `ModelError` for a template that fits none.
    """
    for block in _blocks(records):
        laid_out = [_laid_out(record, tokenizer, turns, supervision) for record in block]
        texts = [text for answers in laid_out for part in answers if isinstance(part, list) for text, _ in part]
        ids = iter(tokenizer.encode_batch(texts))
        for record, parts in zip(block, laid_out, strict=True):
            examples: list[RecordExamples] = []
            for answer, part in zip(record.answers, parts, strict=True):
                if isinstance(part, Rejected):
                    examples.append([part])
                    continue
                example = _joined(answer, [(next(ids), weight) for _, weight in part])
                examples.append(_fitted(answer, example, tokenizer, max_length, long_rows, supervision))
            yield record, examples[0] if len(examples) == 1 else _together(record, examples)


def _laid_out(
    record: Record, tokenizer: Tokenizer, turns: bool, supervision: Supervision
) -> list[list[WeighedText] | Rejected]:
    """The pieces of each answer of a record; if one of two goes on for several turns, both are in turns."""
    turns = turns or (bool(record.rejected) and not record.is_exchange)
    return [_pieces(answer, tokenizer, turns, supervision) for answer in record.answers]


def _together(record: Record, answers: Sequence[RecordExamples]) -> RecordExamples:
    """The examples of two answers that are compared, one of each; if one of them cannot be used, neither is."""
    for (example,), name in zip(answers, ("chosen", "rejected"), strict=True):
        if isinstance(example, Rejected):
            return [Rejected(record.source, f"has a {name} answer that {example.reason}")]
    return [example for (example,) in answers]


def decode_example(example: Example, tokenizer: Tokenizer) -> list[SupervisedText]:
    """An example as text again, in runs of supervised and other tokens."""
    runs = groupby(zip(example.ids.tolist(), example.weights.tolist(), strict=True), key=lambda pair: pair[1] > 0)
    return [(tokenizer.decode([number for number, _ in run], special=True), supervised) for supervised, run in runs]


def _blocks(records: Iterable[Record]) -> Iterator[list[Record]]:
    block: list[Record] = []
    characters = 0
    for record in records:
        block.append(record)
        characters += len(record.text) + sum(len(turn.content) for turn in record.messages + record.rejected)
        characters += len(record.tools)
        if len(block) == BLOCK_ROWS or characters > BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block


def _pieces(
    record: Record, tokenizer: Tokenizer, turns: bool, supervision: Supervision
) -> list[WeighedText] | Rejected:
    try:
        return pieces(record, tokenizer, turns, supervision)
    except TemplateRefused as problem:
        return Rejected(record.source, str(problem))


def _joined(record: Record, parts: Sequence[tuple[list[int], float]]) -> Example:
    ids = [number for part, _ in parts for number in part]
    # (length,): the weight of each piece, as often as that has tokens.
    weights = np.repeat(np.array([weight for _, weight in parts], np.float32), [len(part) for part, _ in parts])
    weights[:1] = 0  # nothing predicts the first token
    return Example(np.array(ids, np.int32), weights, record.source, label=record.label)


def _fitted(
    record: Record,
    example: Example,
    tokenizer: Tokenizer,
    max_length: int,
    long_rows: LongRows,
    supervision: Supervision,
) -> RecordExamples:
    """One record's example, made to fit."""
    cut = len(example.ids) > max_length
    if cut and long_rows == "drop":
        return [Rejected(record.source, f"is longer than {max_length} tokens: it has {len(example.ids)}")]
    if cut and long_rows == "split" and not record.prompt_turns:
        if record.text:
            return [*_windows(example, max_length)]
        if halves := _halves(record):
            return [
                example
                for _, examples in to_examples(halves, tokenizer, max_length, "split", True, supervision)
                for example in examples
            ]
    if cut:
        example = replace(example, ids=example.ids[:max_length], weights=example.weights[:max_length], cut=True)
    if not example.weights[1:].any():
        limit = f" within {max_length} tokens" if cut else ""
        return [Rejected(record.source, f"has no supervised token{limit}")]
    return [example]


def _windows(example: Example, max_length: int) -> list[Example]:
    """Plain text in windows: the BOS, and its share of the rest."""
    # `body` and `weights` (length - 1,) are split in step, into windows that differ by one token at the most.
    (bos, body), weights = np.split(example.ids, [1]), example.weights[1:]
    count = -(-len(body) // (max_length - 1))
    return [
        replace(example, ids=np.concatenate([bos, ids]), weights=np.concatenate([example.weights[:1], learned]))
        for ids, learned in zip(np.array_split(body, count), np.array_split(weights, count), strict=True)
    ]


def _halves(record: Record) -> list[Record]:
    """A conversation of several exchanges as two of about as many, each under the system message; else nothing."""
    system = record.messages[:1] if record.messages[0].role == "system" else ()
    talk = record.messages[len(system) :]
    ends = [
        number
        for number, message in enumerate(talk, 1)
        if message.role == "assistant" and (number == len(talk) or talk[number].role == "user")
    ]
    if len(ends) < 2:
        return []
    middle = ends[len(ends) // 2 - 1]
    return [replace(record, messages=system + part) for part in (talk[:middle], talk[middle:])]
