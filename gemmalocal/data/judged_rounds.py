"""Batches of answers that are judged together (pairs) to rounds of micro-batches, none without its other.

A round is what an engine computes at once: its slopes are known as soon as its forward passes are. Where the answers of
one group do not fit into a round, they take several passes, and their log-probabilities must be computed first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gemmalocal.data.batches import (
    LOOKS,
    BatchShape,
    MicroBatch,
    batch,
    micro_batch,
    padded_length,
    round_up,
    shared_out,
)
from gemmalocal.data.examples import Example
from gemmalocal.data.token_store import Examples


@dataclass(frozen=True)
class Round:
    """Groups of examples that are judged together, in one pass or, where memory forbids that, in several."""

    passes: tuple[tuple[MicroBatch, ...], ...]

    @property
    def tokens(self) -> int:
        """How many positions are computed, padding counted."""
        return sum(part.tokens for parts in self.passes for part in parts)


def judged_rounds(
    examples: Sequence[Example], group: int, shapes: BatchShape, rows: int | None = None, at_least: int = 1
) -> list[Round]:
    """A batch's rounds, in ascending length; each `group` of examples that follow each other is in one of them.

    At most `rows` rows stand in a micro-batch, if given. There are `at_least` so many rounds (one for each process) if
    there are as many groups.
    """
    groups = [list(range(start, start + group)) for start in range(0, len(examples), group)]
    lengths = [padded_length(example, shapes) for example in examples]
    groups.sort(key=lambda places: max(lengths[place] for place in places))
    enough = -(-sum(lengths) // at_least) if at_least > 1 else None
    rounds: list[list[list[int]]] = []  # the places in each micro-batch of each round
    current: list[int] = []
    for places in groups:
        wider = split([*current, *places], lengths, shapes, rows)
        tokens = sum(lengths[place] for place in [*current, *places])
        if current and (wider is None or (enough is not None and tokens > enough)):
            rounds.append(_settled(current, lengths, shapes, rows))
            current = []
        current += places
    rounds.append(_settled(current, lengths, shapes, rows))
    return _numbered([_round(examples, parts, shapes) for parts in rounds], shapes.streams)


def split(
    places: Sequence[int], lengths: Sequence[int], shapes: BatchShape, rows: int | None
) -> list[list[int]] | None:
    """Rows as one round of micro-batches, the largest as small as can be; None if they do not fit into one.

    `lengths` are those of all rows, in tokens with padding. A single long row may exceed the limit.
    """
    ordered = sorted(places, key=lambda place: -lengths[place])
    longest = lengths[ordered[0]]
    candidates = sorted({count * lengths[place] for place in ordered for count in range(1, len(ordered) + 1)})
    if shapes.packed:
        candidates = list(range(longest, sum(lengths[place] for place in ordered) + 1, shapes.multiple))
    at = bisect_left(candidates, True, key=lambda size: _parts(ordered, lengths, shapes, rows, size) is not None)
    if at == len(candidates) or candidates[at] > max(shapes.limit, longest):
        return None
    return _parts(ordered, lengths, shapes, rows, candidates[at])


def _parts(
    ordered: Sequence[int], lengths: Sequence[int], shapes: BatchShape, rows: int | None, size: int
) -> list[list[int]] | None:
    """Rows, longest first, in micro-batches of at most `size` tokens; None if these are more than there are streams."""
    parts: list[list[int]] = []
    used = size + 1  # tokens of the last one
    for place in ordered:
        more = used + lengths[place] if shapes.packed else (len(parts[-1]) + 1) * lengths[parts[-1][0]] if parts else 0
        if not parts or more > size or len(parts[-1]) == rows:
            if len(parts) == shapes.streams or lengths[place] > size:
                return None
            parts.append([])
            more = lengths[place]
        parts[-1].append(place)
        used = more
    return parts[::-1]


def _settled(places: Sequence[int], lengths: Sequence[int], shapes: BatchShape, rows: int | None) -> list[list[int]]:
    """The micro-batches of a round; each row alone if it fits into no round."""
    return split(places, lengths, shapes, rows) or [[place] for place in places]


def _round(examples: Sequence[Example], parts: Sequence[Sequence[int]], shapes: BatchShape) -> Round:
    batches = tuple(micro_batch(examples, places, shapes) for places in parts)
    streams = shapes.streams
    return Round(tuple(batches[start : start + streams] for start in range(0, len(batches), streams)))


def _numbered(rounds: Sequence[Round], streams: int) -> list[Round]:
    """With a number of its own for each micro-batch: dropout goes by it."""
    numbered, number = [], 0
    for one_round in rounds:
        passes = []
        for parts in one_round.passes:
            passes.append(tuple(replace(part, number=number + place) for place, part in enumerate(parts)))
            number += len(parts)
        numbered.append(Round(tuple(passes)))
    return numbered


def judged_together(examples: Examples, shapes: BatchShape) -> int:
    """Tokens (padding counted) of the longest pair, as one micro-batch; 0 for answers that are judged one by one."""
    if examples.group == 1 or not len(examples):
        return 0
    longest_of_pair = examples.lengths.reshape(-1, examples.group).max(axis=1)
    return examples.group * round_up(int(longest_of_pair.max()) - 1, shapes.multiple)


def largest_round(
    examples: Examples, size: int, seed: int, shapes: BatchShape, rows: int | None, end: int | None = None
) -> int:
    """Tokens (padding counted) at once, over the first batches of so many pairs; see `batches.largest`."""
    looks = min(LOOKS, -(-(end or examples.groups) // size))
    batches = (batch(examples, size, seed, number, end, examples.group) for number in range(looks))
    planned = (judged_rounds(pairs, examples.group, shapes, rows) for pairs in batches)
    return max(sum(part.tokens for part in parts) for rounds in planned for each in rounds for parts in each.passes)


def share_rounds(rounds: Sequence[Round], rank: int, size: int) -> list[Round]:
    """What one of `size` processes computes of a batch, in its order: about as many tokens as the others."""
    owners = shared_out([each.tokens for each in rounds], size)
    return [each for each, owner in zip(rounds, owners, strict=True) if owner == rank]
