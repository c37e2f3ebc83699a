"""Examples to optimizer batches, and batches to micro-batches of few shapes.

Batch number k is a function of (examples, seed, k): there is no cursor to lose. Micro-batches change memory and
speed, never the sum of the gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gemmalocal.data.examples import Example
from gemmalocal.data.store import lengths

LOOKS = 50  # batches that `largest` plans


@dataclass(frozen=True)
class MicroBatch:
    """`ids` (rows, length + 1) int32; `weights` the same shape, float32, 1 where ids[:, 1:] is to be predicted.

    `place` is its number in the plan of its batch: with it dropout is the same wherever the micro-batch is computed.
    """

    ids: NDArray[np.int32]
    weights: NDArray[np.float32]
    place: int = 0

    @property
    def tokens(self) -> int:
        """How many positions are computed, padding counted."""
        return len(self.ids) * (int(self.ids.shape[1]) - 1)

    @property
    def supervised(self) -> int:
        """How many tokens are predicted and counted; the first of a row never is."""
        return int(self.weights[:, 1:].sum())


@dataclass(frozen=True)
class Shapes:
    """What an engine likes: lengths in multiples, and what a forward pass costs beyond its tokens.

    `multiple` is in tokens; `overhead` is the fixed cost of a pass, counted in tokens; `limit` the most tokens
    (rows x length) in a micro-batch, which a single long row may exceed; `lanes` the micro-batches at once.
    """

    multiple: int
    overhead: int
    limit: int
    lanes: int = 1


def batch(examples: Sequence[Example], size: int, seed: int, number: int) -> list[Example]:
    """Batch `number` (from 0) of an endless stream of shuffled epochs; a batch may reach into the next epoch."""
    chosen = []
    for position in range(number * size, (number + 1) * size):
        epoch, place = divmod(position, len(examples))
        chosen.append(examples[_order(len(examples), seed, epoch)[place]])
    return chosen


_orders: dict[tuple[int, int, int], NDArray[np.int64]] = {}


def _order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    key = (count, seed, epoch)
    if key not in _orders:
        if len(_orders) > 1:
            _orders.pop(next(iter(_orders)))
        _orders[key] = np.random.default_rng([seed, epoch]).permutation(count)
    return _orders[key]


def plan(examples: Sequence[Example], shapes: Shapes, rows: int | None = None) -> list[MicroBatch]:
    """Partition a batch by length so that padding plus passes cost least; at most `rows` rows in one, if given.

    The micro-batches come in ascending length, and no larger than leaves each lane one.
    """
    ordered = sorted(examples, key=lambda example: len(example.ids))
    padded = [_round_up(len(example.ids) - 1, shapes.multiple) for example in ordered]
    limit = shapes.limit if shapes.lanes == 1 else min(shapes.limit, -(-sum(padded) // shapes.lanes))
    best: list[tuple[float, int]] = [(0.0, 0)]  # cost of the first n rows, where their last group starts
    for end in range(1, len(ordered) + 1):
        options = []
        for start in range(end - 1, -1, -1):
            count, tokens = end - start, (end - start) * padded[end - 1]
            if count > 1 and (tokens > limit or (rows is not None and count > rows)):
                break
            options.append((best[start][0] + tokens + shapes.overhead, start))
        best.append(min(options))
    spans, end = [], len(ordered)
    while end:
        start = best[end][1]
        spans.append((start, end))
        end = start
    return [_stack(ordered[start:end], padded[end - 1], place) for place, (start, end) in enumerate(spans[::-1])]


def share(parts: Sequence[MicroBatch], rank: int, size: int) -> list[MicroBatch]:
    """What one of `size` processes computes of a plan, in the plan's order: about as many tokens as the others.

    The largest is given first, to whom has least so far. Some have nothing if there are fewer parts than processes.
    """
    loads, mine = [0] * size, []
    for part in sorted(parts, key=lambda part: (-part.tokens, part.place)):
        least = loads.index(min(loads))
        loads[least] += part.tokens
        if least == rank:
            mine.append(part)
    return sorted(mine, key=lambda part: part.place)


def rounds(parts: Sequence[MicroBatch], lanes: int) -> Iterator[Sequence[MicroBatch]]:
    """Micro-batches in ascending length to those that run at once; the smallest are left over for a shorter round."""
    over = len(parts) % lanes
    if over:
        yield parts[:over]
    for start in range(over, len(parts), lanes):
        yield parts[start : start + lanes]


def longest(examples: Sequence[Example], shapes: Shapes) -> int:
    """Tokens of the longest row, padding counted."""
    return _round_up(int(lengths(examples).max()) - 1, shapes.multiple)


def largest(examples: Sequence[Example], size: int, seed: int, shapes: Shapes, rows: int | None) -> int:
    """Tokens (padding counted) of the largest micro-batches at once, over the first batches; or of the longest row."""
    looks = min(LOOKS, -(-len(examples) // size))
    plans = (plan(batch(examples, size, seed, number), shapes, rows) for number in range(looks))
    at_once = (parts for planned in plans for parts in rounds(planned, shapes.lanes))
    tokens = (sum(part.tokens for part in parts) for parts in at_once)
    return max(longest(examples, shapes), *tokens)


def _round_up(length: int, multiple: int) -> int:
    return -(-max(length, 1) // multiple) * multiple


def _stack(examples: Sequence[Example], length: int, place: int) -> MicroBatch:
    ids = np.zeros((len(examples), length + 1), np.int32)
    weights = np.zeros((len(examples), length + 1), np.float32)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = example.ids
        weights[row, : len(example.weights)] = example.weights
    return MicroBatch(ids, weights, place)
