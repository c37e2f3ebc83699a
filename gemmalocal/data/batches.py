"""Examples to optimizer batches, and batches to micro-batches of few shapes.

Batch number k is a function of (examples, seed, k): there is no cursor to lose. Micro-batches change memory and
speed, never the sum of the gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gemmalocal.data.examples import Example
from gemmalocal.data.token_store import lengths

LOOKS = 50  # batches that `largest` plans


class Prefix(NamedTuple):
    """Tokens of a packed row, `start` to `end`, that stand before several of its segments and are computed once."""

    start: int
    end: int


@dataclass(frozen=True)
class MicroBatch:
    """`ids` (rows, length + 1) int32; `weights` the same shape, float32, by how much ids[:, 1:] is to be predicted.

    A weight is from 0 (not at all) to 1.

    If there are `segments`, the one row is several examples end to end, of so many tokens each, the last with its
    padding: they sum up to length, and a token must attend to its own segment only. Of examples that begin alike, the
    first may lend its beginning: then `prefixes` has it for each segment that goes on from there, None for the others,
    and a token attends to that as well, as if it stood right before the segment. `number` is its own in the plan of its
    batch: with it dropout is the same wherever the micro-batch is computed. `rows` are the places in that batch of the
    examples here, in their order.
    """

    ids: NDArray[np.int32]
    weights: NDArray[np.float32]
    segments: tuple[int, ...] = ()
    number: int = 0
    rows: tuple[int, ...] = ()
    prefixes: tuple[Prefix | None, ...] = ()

    @property
    def tokens(self) -> int:
        """How many positions are computed, padding counted."""
        return len(self.ids) * (int(self.ids.shape[1]) - 1)

    @property
    def supervised(self) -> int:
        """How many tokens are predicted; the first of a row never is."""
        return int(np.count_nonzero(self.weights[:, 1:]))

    @property
    def token_weights(self) -> NDArray[np.float32]:
        """The weights of the predicted tokens, (supervised,), row by row."""
        weights: NDArray[np.float32] = self.weights[:, 1:]
        return weights[weights > 0]

    def predictions(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Flat places in (rows * length) after which a supervised token comes, and its id, (supervised,) each."""
        places = np.flatnonzero(self.weights[:, 1:].reshape(-1) > 0).astype(np.int32)
        ids = self.ids[:, 1:].reshape(-1)[places]
        starts = np.cumsum((0, *self.segments))
        for start, prefix in zip(starts, self.prefixes, strict=False):
            if prefix is not None:  # what a segment begins with comes after the prefix, not after the one before it
                places[places == start - 1] = prefix.end - 1
        return places, ids

    @property
    def weight(self) -> float:
        """The sum of these: what the summed loss is divided by."""
        return float(self.token_weights.sum())


@dataclass(frozen=True)
class BatchShape:
    """What an engine likes: lengths in multiples, and what a forward pass costs beyond its tokens.

    `multiple` is in tokens; `overhead` is the fixed cost of a pass, counted in tokens; `limit` the most tokens
    (rows x length) in a micro-batch, which a single long row may exceed; `streams` the micro-batches at once; `packed`
    whether it can keep apart examples that are laid end to end.
    """

    multiple: int
    overhead: int
    limit: int
    streams: int = 1
    packed: bool = False


def batch(
    examples: Sequence[Example], size: int, seed: int, number: int, end: int | None = None, group: int = 1
) -> list[Example]:
    """The `size` examples of batch `number` (from 0), of epochs shuffled by `seed`; it may cross an epoch's end.

    All epochs together have `end` examples, so that the last batch may be smaller; None is without end. Where `group`
    examples that follow each other are one (a pair), `size` and `end` count groups.
    """
    return [examples[int(index)] for index in batch_indices(len(examples), size, seed, number, end, group)]


def batch_indices(
    count: int, size: int, seed: int, number: int, end: int | None = None, group: int = 1
) -> NDArray[np.int64]:
    """The places (examples,) in all `count` examples of those that `batch` gives."""
    groups, first = count // group, number * size
    chosen = []
    for position in range(first, first + size if end is None else min(first + size, end)):
        epoch, index = divmod(position, groups)
        chosen.append(_order(groups, seed, epoch)[index])
    places = np.array(chosen, np.int64)[:, None] * group + np.arange(group)
    return places.reshape(-1)


_orders: dict[tuple[int, int, int], NDArray[np.int64]] = {}


def _order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    key = (count, seed, epoch)
    if key not in _orders:
        if len(_orders) > 1:
            _orders.pop(next(iter(_orders)))
        _orders[key] = np.random.default_rng([seed, epoch]).permutation(count)
    return _orders[key]


def plan(examples: Sequence[Example], shapes: BatchShape, rows: int | None = None) -> list[MicroBatch]:
    """Partition a batch into micro-batches of at most `rows` rows, if given, in ascending length.

    Packed: rows end to end, as few micro-batches as the limit allows, as equal as can be. Else rows of like length side
    by side, so that padding plus passes cost least, and no more in one than leaves each stream one.
    """
    if shapes.packed:
        parts = [_end_to_end(examples, places, shapes.multiple) for places in _bins(examples, shapes, rows)]
    else:
        parts = _side_by_side(examples, shapes, rows)
    return [replace(part, number=number) for number, part in enumerate(parts)]


def _side_by_side(examples: Sequence[Example], shapes: BatchShape, rows: int | None) -> list[MicroBatch]:
    ordered = sorted(range(len(examples)), key=lambda place: len(examples[place].ids))
    padded = [round_up(len(examples[place].ids) - 1, shapes.multiple) for place in ordered]
    limit = shapes.limit if shapes.streams == 1 else min(shapes.limit, -(-sum(padded) // shapes.streams))
    # Dynamic programming over rows in ascending length: a group is padded to its last row, so that its cost is known.
    best: list[tuple[float, int]] = [(0.0, 0)]  # cost of the first n rows, where their last group starts
    for end in range(1, len(ordered) + 1):
        options = []
        for start in range(end - 1, -1, -1):
            count, tokens = end - start, (end - start) * padded[end - 1]
            if count > 1 and (tokens > limit or (rows is not None and count > rows)):
                break
            options.append((best[start][0] + tokens + shapes.overhead, start))
        best.append(min(options))
    groups, end = [], len(ordered)
    while end:
        start = best[end][1]
        groups.append(_stack(examples, ordered[start:end], padded[end - 1]))
        end = start
    return groups[::-1]


def share(parts: Sequence[MicroBatch], rank: int, size: int) -> list[MicroBatch]:
    """What one of `size` processes computes of a plan, in the plan's order: about as many tokens as the others.

    The largest is given first, to whom has least so far. Some have nothing if there are fewer parts than processes.
    """
    owners = shared_out([part.tokens for part in parts], size)
    return [part for part, owner in zip(parts, owners, strict=True) if owner == rank]


def shared_out(tokens: Sequence[int], size: int) -> list[int]:
    """Which of `size` processes computes each of some parts, by their tokens: the largest goes to whom has least."""
    loads, owners = [0] * size, [0] * len(tokens)
    for place in sorted(range(len(tokens)), key=lambda place: (-tokens[place], place)):
        owners[place] = loads.index(min(loads))
        loads[owners[place]] += tokens[place]
    return owners


def _bins(examples: Sequence[Example], shapes: BatchShape, rows: int | None) -> list[list[int]]:
    """Longest first, each row into the bin with the fewest tokens (https://doi.org/10.1137/0117039), fullest bin last.

    The number of bins is the first multiple of the streams with which none has more than the limit. Rows are given by
    their places.
    """
    sizes_of_rows, max_rows = [len(example.ids) for example in examples], rows or len(examples)
    ordered = sorted(range(len(examples)), key=lambda place: -sizes_of_rows[place])
    fewest = round_up(-(-len(ordered) // max_rows), shapes.streams)
    for count in range(fewest, len(ordered) + shapes.streams, shapes.streams):
        bins: list[list[int]] = [[] for _ in range(min(count, len(ordered)))]
        sizes = [0] * len(bins)
        for place in ordered:
            emptiest = min((size, index) for index, size in enumerate(sizes) if len(bins[index]) < max_rows)[1]
            bins[emptiest].append(place)
            sizes[emptiest] += sizes_of_rows[place]
        if all(size <= shapes.limit or len(places) == 1 for size, places in zip(sizes, bins, strict=True)):
            break
    return sorted(bins, key=lambda places: sum(sizes_of_rows[place] for place in places))


def rounds(parts: Sequence[MicroBatch], streams: int) -> Iterator[Sequence[MicroBatch]]:
    """Micro-batches in ascending length to those that run at once; the smallest are left over for a shorter round."""
    over = len(parts) % streams
    if over:
        yield parts[:over]
    for start in range(over, len(parts), streams):
        yield parts[start : start + streams]


def longest(examples: Sequence[Example], shapes: BatchShape) -> int:
    """Tokens of the longest row, padding counted."""
    return round_up(int(lengths(examples).max()) - 1, shapes.multiple)


def largest(
    examples: Sequence[Example], size: int, seed: int, shapes: BatchShape, rows: int | None, end: int | None = None
) -> int:
    """Tokens (padding counted) of the largest micro-batches at once, over the first batches; or of the longest row.

    `size`, `seed` and `end` are those of `batch`, `rows` is that of `plan`.
    """
    looks = min(LOOKS, -(-(end or len(examples)) // size))
    plans = (plan(batch(examples, size, seed, number, end), shapes, rows) for number in range(looks))
    at_once = (parts for planned in plans for parts in rounds(planned, shapes.streams))
    tokens = (sum(part.tokens for part in parts) for parts in at_once)
    return max(longest(examples, shapes), *tokens)


def round_up(length: int, multiple: int) -> int:
    """The next multiple, for a length of 0 too."""
    return -(-max(length, 1) // multiple) * multiple


def padded_length(example: Example, shapes: BatchShape) -> int:
    """Tokens that an example takes in a micro-batch of its own, padding counted."""
    return round_up(len(example.ids) - 1, shapes.multiple)


def micro_batch(
    examples: Sequence[Example], places: Sequence[int], shapes: BatchShape, shared: Mapping[int, int] | None = None
) -> MicroBatch:
    """The examples at these places, as an engine likes them: end to end, or side by side.

    `shared` says of some, where they are laid end to end, how many tokens they have in common with the one before.
    """
    if shapes.packed:
        return _end_to_end(examples, places, shapes.multiple, shared)
    return _stack(examples, places, max(padded_length(examples[place], shapes) for place in places))


def _end_to_end(
    examples: Sequence[Example], places: Sequence[int], multiple: int, shared: Mapping[int, int] | None = None
) -> MicroBatch:
    """The examples at these places as one row.

    `shared` says of some how many tokens of the example right before them they begin with, none of which is supervised
    in either: these are not laid out again.
    """
    skipped = [(shared or {}).get(place, 0) for place in places]
    segments = [len(examples[place].ids) - skip for place, skip in zip(places, skipped, strict=True)]
    length = round_up(sum(segments) - 1, multiple)
    if len(places) == 1:
        return _stack(examples, places, length)
    # (1, length + 1): what is behind the last example is padding, with weights of 0.
    ids, weights = np.zeros((1, length + 1), np.int32), np.zeros((1, length + 1), np.float32)
    starts = [0, *np.cumsum(segments).tolist()]
    prefixes: list[Prefix | None] = []
    for number, (place, skip, start) in enumerate(zip(places, skipped, starts, strict=False)):
        example, end = examples[place], starts[number + 1]
        prefixes.append(Prefix(starts[number - 1], starts[number - 1] + skip) if skip else None)
        ids[0, start:end] = example.ids[skip:]
        first = 0 if skip else 1  # nothing predicts the first of a row
        weights[0, start + first : end] = example.weights[skip + first :]
    lengths = (*segments[:-1], length - starts[-2])
    return MicroBatch(ids, weights, lengths, rows=tuple(places), prefixes=tuple(prefixes) if any(skipped) else ())


def _stack(examples: Sequence[Example], places: Sequence[int], length: int) -> MicroBatch:
    """The examples at these places side by side."""
    # (rows, length + 1): what is behind each example is padding, with weights of 0.
    ids = np.zeros((len(places), length + 1), np.int32)
    weights = np.zeros((len(places), length + 1), np.float32)
    for row, place in enumerate(places):
        example = examples[place]
        ids[row, : len(example.ids)] = example.ids
        weights[row, : len(example.weights)] = example.weights
    return MicroBatch(ids, weights, rows=tuple(places))
