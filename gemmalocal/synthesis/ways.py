"""The order in which rules of any language ask: a question of each kind, then another; of a sentence only one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence

from gemmalocal.synthesis.piece import Piece, RuleQuestion

Way = Iterable[RuleQuestion]  # what can be asked in one way, the best first


def questions(ways: Sequence[Way], count: int) -> list[RuleQuestion]:
    """At most `count`, one of each way in turn, none about a sentence that another was asked about."""
    waiting = [iter(way) for way in ways]
    chosen: list[RuleQuestion] = []
    used = set[str]()
    while waiting and len(chosen) < count:
        way = waiting.pop(0)
        question = next((question for question in way if question.evidence not in used), None)
        if question is not None:
            chosen.append(question)
            used.add(question.evidence)
            waiting.append(way)
    return chosen


def gaps(
    piece: Piece, own: Sequence[str], seed: int, gap: Callable[[str, random.Random], RuleQuestion | None]
) -> Iterator[RuleQuestion]:
    """Sentences with something left out, by `seed` and the passage."""
    chance = random.Random(f"{seed}\x00{piece.passage.text}")
    spare = list(own)
    chance.shuffle(spare)
    return (question for line in spare if (question := gap(line, chance)))
