"""Examples to what this process computes of them: micro-batches, by those that an engine takes at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gemmalocal.backends.protocol import InferenceModel, TokenValues, Trainer
from gemmalocal.data.batches import MicroBatch, plan, rounds, share
from gemmalocal.data.examples import Example
from gemmalocal.data.token_store import lengths
from gemmalocal.engine.objectives.answers import Numbers

ROWS = 16  # planned together when nothing is trained


def shared(examples: Sequence[Example], rows: int | None, model: InferenceModel) -> Iterator[Sequence[MicroBatch]]:
    """This rank's micro-batches of some examples, by those that run at once; the plan is the same on all ranks.

    At most `rows` rows stand in one, if given.
    """
    group, shapes = model.group, model.shapes
    group_shapes = replace(shapes, streams=shapes.streams * group.size)
    micro_batches = plan(examples, group_shapes, rows)
    return rounds(share(micro_batches, group.rank, group.size), shapes.streams)


def untrained(
    examples: Sequence[Example], rows: int | None, model: InferenceModel
) -> Iterator[tuple[list[int], Sequence[MicroBatch]]]:
    """As `shared`, of many examples in ascending length, with the places of those that a micro-batch's rows count."""
    ordered = lengths(examples).argsort(kind="stable").tolist()
    for start in range(0, len(ordered), ROWS):
        places = ordered[start : start + ROWS]
        for parts in shared([examples[place] for place in places], rows, model):
            yield places, parts


def log_probabilities(examples: Sequence[Example], rows: int | None, model: Trainer) -> Numbers:
    """Of each example's supervised tokens together, (examples,), in nats, without dropout; the same on all ranks."""
    sums = np.zeros(len(examples))
    for places, parts in untrained(examples, rows, model):
        for part, values in zip(parts, model.log_probabilities(parts), strict=True):
            here = [places[row] for row in part.rows]
            sums[here] = by_row(values, [predicted(examples[place]) for place in here])
    return np.array(model.group.sum(sums.tolist()))


def predicted(example: Example) -> int:
    """How many tokens of an example are predicted: its supervised ones, of which the first of a row is none."""
    return int(np.count_nonzero(example.weights[1:]))


def by_row(values: TokenValues | Numbers, counts: Sequence[int]) -> Numbers:
    """Sums of a micro-batch's tokens by its rows, (rows,), of which each has so many."""
    ends = np.cumsum(counts)
    return np.array([values[end - count : end].sum(dtype=np.float64) for count, end in zip(counts, ends, strict=True)])
