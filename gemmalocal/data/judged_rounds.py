"""Batches of answers that are judged together (pairs) to rounds of micro-batches, none without its other.

A round is what an engine computes at once: its slopes are known as soon as its forward passes are. Where the answers of
one group do not fit into a round, they take several passes, and their log-probabilities must be computed first.

Where rows are laid end to end the answers of a pair share their prompt, which is then computed once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

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


class Unit(NamedTuple):
    """Rows of a batch, by their places, that stand in one micro-batch; the tokens they take there, padding counted.

    Each but the first begins with `shared` tokens of the one before it, which are not counted again.
    """

    places: tuple[int, ...]
    tokens: int
    shared: int = 0


Parts = list[list[Unit]]  # the micro-batches of a round


def judged_rounds(
    examples: Sequence[Example], group: int, shapes: BatchShape, rows: int | None = None, at_least: int = 1
) -> list[Round]:
    """A batch's rounds, in ascending length; each `group` of examples that follow each other is in one of them.

    At most `rows` rows stand in a micro-batch, if given. There are `at_least` so many rounds (one for each process) if
    there are as many groups. Prompts are computed once where that makes what the streams wait for shorter.
    """
    starts = range(0, len(examples), group)
    alone = [[Unit((place,), padded_length(examples[place], shapes)) for place in range(s, s + group)] for s in starts]
    together = [_joined(examples, units, shapes, rows) for units in alone]
    candidates = [alone] if together == alone else [together, alone]
    planned = [_rounds(groups, shapes, rows, at_least) for groups in candidates]
    rounds = min(planned, key=lambda rounds: _waited(rounds, shapes))
    return _numbered([_round(examples, parts, shapes) for parts in rounds], shapes.streams)


def _joined(examples: Sequence[Example], units: list[Unit], shapes: BatchShape, rows: int | None) -> list[Unit]:
    """The rows of a pair as one, if that can be."""
    if not shapes.packed or len(units) != 2 or rows == 1:
        return units
    pair = [place for unit in units for place in unit.places]
    first, second = (examples[place] for place in pair)
    shared = _common_prompt(first, second)
    tokens = round_up(len(first.ids) + len(second.ids) - shared - 1, shapes.multiple)
    return [Unit(tuple(pair), tokens, shared)] if shared and tokens <= shapes.limit else units


def _common_prompt(first: Example, second: Example) -> int:
    """With how many tokens both begin of which none is to be predicted; at least one token is left of each."""
    length = min(len(first.ids), len(second.ids)) - 1
    alike = np.equal(first.ids[:length], second.ids[:length])
    alike &= (np.asarray(first.weights[:length]) == 0) & (np.asarray(second.weights[:length]) == 0)
    return length if alike.all() else int(alike.argmin())


def _rounds(groups: Sequence[Sequence[Unit]], shapes: BatchShape, rows: int | None, at_least: int) -> list[Parts]:
    """The micro-batches of each round, no group without all its units."""
    ordered = sorted(groups, key=lambda units: max(unit.tokens for unit in units))
    total = sum(unit.tokens for units in groups for unit in units)
    enough = -(-total // at_least) if at_least > 1 else None
    rounds: list[Parts] = []
    current: list[Unit] = []
    for units in ordered:
        wider = split([*current, *units], shapes, rows)
        tokens = sum(unit.tokens for unit in [*current, *units])
        if current and (wider is None or (enough is not None and tokens > enough)):
            rounds.append(_settled(current, shapes, rows))
            current = []
        current += units
    return [*rounds, _settled(current, shapes, rows)]


def _waited(rounds: Sequence[Parts], shapes: BatchShape) -> int:
    """Tokens of the largest micro-batches: all rounds' passes, one after the other, with what each costs beside."""
    passes = (
        parts[start : start + shapes.streams] for parts in rounds for start in range(0, len(parts), shapes.streams)
    )
    return sum(max(sum(unit.tokens for unit in part) for part in parts) + shapes.overhead for parts in passes)


def split(units: Sequence[Unit], shapes: BatchShape, rows: int | None) -> Parts | None:
    """Units as one round of micro-batches, the largest as small as can be; None if they do not fit into one.

    A single long row may exceed the limit.
    """
    ordered = sorted(units, key=lambda unit: -unit.tokens)
    longest = ordered[0].tokens
    candidates = sorted({count * unit.tokens for unit in ordered for count in range(1, len(ordered) + 1)})
    if shapes.packed:
        candidates = list(range(longest, sum(unit.tokens for unit in ordered) + 1, shapes.multiple))
    at = bisect_left(candidates, True, key=lambda size: _parts(ordered, shapes, rows, size) is not None)
    if at == len(candidates) or candidates[at] > max(shapes.limit, longest):
        return None
    return _parts(ordered, shapes, rows, candidates[at])


def _parts(ordered: Sequence[Unit], shapes: BatchShape, rows: int | None, size: int) -> Parts | None:
    """Units, longest first, in micro-batches of at most `size` tokens; None if the streams are too few."""
    parts: Parts = []
    used = size + 1  # tokens of the last one
    for unit in ordered:
        more = used + unit.tokens if shapes.packed else (len(parts[-1]) + 1) * parts[-1][0].tokens if parts else 0
        if not parts or more > size or (rows and _rows([*parts[-1], unit]) > rows):
            if len(parts) == shapes.streams or unit.tokens > size:
                return None
            parts.append([])
            more = unit.tokens
        parts[-1].append(unit)
        used = more
    return parts[::-1]


def _rows(units: Sequence[Unit]) -> int:
    return sum(len(unit.places) for unit in units)


def _settled(units: Sequence[Unit], shapes: BatchShape, rows: int | None) -> Parts:
    """The micro-batches of a round; each unit alone if they fit into no round."""
    return split(units, shapes, rows) or [[unit] for unit in units]


def _round(examples: Sequence[Example], parts: Parts, shapes: BatchShape) -> Round:
    batches = tuple(_micro_batch(examples, units, shapes) for units in parts)
    streams = shapes.streams
    return Round(tuple(batches[start : start + streams] for start in range(0, len(batches), streams)))


def _micro_batch(examples: Sequence[Example], units: Sequence[Unit], shapes: BatchShape) -> MicroBatch:
    shared = {place: unit.shared for unit in units for place in unit.places[1:]}
    return micro_batch(examples, [place for unit in units for place in unit.places], shapes, shared)


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
