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
    chosen: list[RuleQuestion] = []
    for way in first:
        chosen += islice(way(_left(own, chosen)), max(0, count - len(chosen)))
    chance = random.Random(f"{seed}\x00{piece.passage.text}")
    spare = _left(own, chosen)
    chance.shuffle(spare)
    for line in spare[: count - len(chosen)]:
        if question := gap(line, chance):
            chosen.append(question)
    return chosen


def _left(own: Sequence[str], chosen: Sequence[RuleQuestion]) -> list[str]:
    used = {question.evidence for question in chosen}
    return [line for line in own if line not in used]
