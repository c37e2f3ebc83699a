"""The order in which rules of any language ask: the ways that are tried first, then gaps in the sentences left."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from gemmalocal.synthesis.piece import Piece, RuleQuestion

Way = Callable[[list[str]], Iterable[RuleQuestion]]  # what can be asked about sentences


def questions(
    piece: Piece,
    own: Sequence[str],
    count: int,
    seed: int,
    first: Sequence[Way],
    gap: Callable[[str, random.Random], RuleQuestion | None],
) -> list[RuleQuestion]:
    """At most `count` about a passage's `own` sentences, none asked about twice; gaps by `seed` and the passage."""
    found: list[RuleQuestion] = []
    for way in first:
        found += islice(way(_left(own, found)), max(0, count - len(found)))
    chance = random.Random(f"{seed}\x00{piece.passage.text}")
    spare = _left(own, found)
    chance.shuffle(spare)
    for line in spare[: count - len(found)]:
        if asked := gap(line, chance):
            found.append(asked)
    return found


def _left(own: Sequence[str], found: Sequence[RuleQuestion]) -> list[str]:
    taken = {asked.evidence for asked in found}
    return [line for line in own if line not in taken]
