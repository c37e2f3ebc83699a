"""Of pairs of answers: whether the tuned model prefers the chosen one more than the base does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gemmalocal.evaluation.measured import MeasuredRow
from gemmalocal.evaluation.statistics import Interval, direction, mcnemar, wilson


class Preferred(NamedTuple):
    """`won` of `pairs` pairs: their chosen answer has gained more log-probability than the rejected one.

    `chosen` and `rejected` are what those answers have gained, in nats, on average; ties are no wins.
    """

    won: int
    lost: int
    pairs: int
    chosen: float
    rejected: float

    @property
    def p(self) -> float:
        """How likely so uneven a count is by chance: the exact sign test, two-sided."""
        return mcnemar(self.won, self.lost)

    @property
    def share(self) -> Interval:
        """The win rate, with its interval."""
        return wilson(self.won, self.pairs)

    @property
    def direction(self) -> int:
        """1 if significantly more pairs are won than lost, -1 the other way round, else 0."""
        return direction(self.won, self.lost)


def preferred(rows: Sequence[MeasuredRow]) -> Preferred | None:
    """What the pairs among the rows say; None where there are none.

    Gained is the tuned model's log-probability less the base's, which is what DPO calls a reward
    (https://arxiv.org/abs/2305.18290).
    """
    gained = [
        (row.loss.base - row.loss.tuned, row.rejected.base - row.rejected.tuned)
        for row in rows
        if row.rejected is not None
    ]
    if not gained:
        return None
    won, lost = (sum(sign * (chosen - rejected) > 0 for chosen, rejected in gained) for sign in (1, -1))
    means = [sum(of_side) / len(gained) for of_side in zip(*gained, strict=True)]
    return Preferred(won, lost, len(gained), *means)
