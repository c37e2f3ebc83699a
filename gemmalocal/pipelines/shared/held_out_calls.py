"""How many calls of held-out rows a model under training makes as it should; and where in a row a call is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from gemmalocal.backends.protocol import Trainer
from gemmalocal.data.examples import Example
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.evaluation.calls import calls, figures
from gemmalocal.jobs.events import Event, Notice
from gemmalocal.pipelines.shared.loading import Prepared

ROOM = 1.5  # of the tokens of a right answer, how many one may have


def call_span(example: Example, tokenizer: Tokenizer) -> tuple[int, int]:
    """Where the reply that is to be asked for begins and ends: the last with a call, else the last at all."""
    ids = example.ids.tolist()
    borders = [0, *(np.flatnonzero(np.diff(example.weights > 0)) + 1).tolist(), len(ids)]
    spans = [(start, end) for start, end in pairwise(borders) if example.weights[start] > 0]
    with_calls = [span for span in spans if calls(tokenizer.decode(ids[slice(*span)]))]
    return (with_calls or spans or [(1, len(ids))])[-1]


def held_out_calls(
    trainer: Trainer, prepared: Prepared, count: int, when: str, wished: Callable[[], bool]
) -> Iterator[Event]:
    """Answer some held-out rows and say how many calls were right; nothing without tools, or once it is stopped."""
    tokenizer, rows = prepared.tokenizer, prepared.held_out
    if not prepared.layout.tools or not count or not len(rows) or tokenizer is None or rows.kind:
        return
    chosen = rows.spaced(count)
    answers, references = list[str](), list[str]()
    for place in range(len(chosen)):
        example = chosen[place]
        if example.cut:
            continue
        start, end = call_span(example, tokenizer)
        ids: list[int] = example.ids.tolist()
        said = list[int]()
        for number in trainer.stream(ids[:start], int(ROOM * (end - start)) + 8, tokenizer.stop_ids):
            if wished():
                return
            said.append(number)
        answers.append(tokenizer.decode(said))
        references.append(tokenizer.decode(ids[start:end]))
    if answers:
        yield Notice(f"held-out calls {when}: {figures(answers, references)}")
