"""How many calls of held-out rows a model under training makes as it should; and where in a row a call is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from gemmalocal.backends.protocol import Sampling, Trainer
from gemmalocal.data.examples import Example
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.evaluation.calls import calls, figures
from gemmalocal.jobs.events import Event, Notice
from gemmalocal.pipelines.shared.answer_batches import ROWS, batches
from gemmalocal.pipelines.shared.loading import Prepared

ROOM = 1.5  # of the tokens of a right answer, how many one may have


def call_span(example: Example, tokenizer: Tokenizer) -> tuple[int, int]:
    """Where the reply that is to be asked for begins and ends: the last with a call, else the last at all."""
    ids = example.ids.tolist()
    borders = [0, *(np.flatnonzero(np.diff(example.weights > 0)) + 1).tolist(), len(ids)]
    spans = [(start, end) for start, end in pairwise(borders) if example.weights[start] > 0]
    with_calls = [span for span in spans if calls(tokenizer.decode(ids[slice(*span)]))]
    return (with_calls or spans or [(1, len(ids))])[-1]


class Due(NamedTuple):
    """What is asked of a held-out row: the ids to go on from, those of the right answer, the most that one may have."""

    prompt: list[int]
    right: list[int]
    limit: int


def asked_calls(rows: Sequence[Example], tokenizer: Tokenizer) -> list[Due]:
    """What is asked of rows; of those that were cut nothing."""
    due = []
    for example in rows:
        if not example.cut:
            start, end = call_span(example, tokenizer)
            ids: list[int] = example.ids.tolist()
            due.append(Due(ids[:start], ids[start:end], int(ROOM * (end - start)) + 8))
    return due


def answered(
    trainer: Trainer, asked: Sequence[Due], stops: set[int], wished: Callable[[], bool]
) -> list[list[int]] | None:
    """The likeliest ids after each prompt, several prompts at once, each up to its own limit; None once stopped."""
    tokens = [len(due.prompt) + due.limit for due in asked]
    answers: list[list[int]] = [[] for _ in asked]
    for batch in batches(sorted(range(len(asked)), key=tokens.__getitem__), tokens, ROWS):
        sampling = Sampling(max_tokens=max(asked[number].limit for number in batch))
        for step in trainer.answer([asked[number].prompt for number in batch], sampling, stops):
            if wished():
                return None
            open_rows = 0
            for number, token in zip(batch, step, strict=True):
                if token is not None and len(answers[number]) < asked[number].limit:
                    answers[number].append(token)
                    open_rows += token not in stops and len(answers[number]) < asked[number].limit
            if not open_rows:
                break
    return answers


def held_out_calls(
    trainer: Trainer, prepared: Prepared, count: int, when: str, wished: Callable[[], bool]
) -> Iterator[Event]:
    """Answer some held-out rows and say how many calls were right; nothing without tools, or once it is stopped."""
    tokenizer, rows = prepared.tokenizer, prepared.held_out
    if not prepared.layout.tools or not count or not len(rows) or tokenizer is None or rows.kind:
        return
    chosen = rows.spaced(count)
    asked = asked_calls([chosen[place] for place in range(len(chosen))], tokenizer)
    answers = answered(trainer, asked, tokenizer.stop_ids, wished)
    if answers:
        said, right = map(tokenizer.decode, answers), (tokenizer.decode(due.right) for due in asked)
        yield Notice(f"held-out calls {when}: {figures(list(said), list(right))}")
