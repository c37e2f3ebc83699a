"""Of answers that were compared or rated: whether the tuned model prefers the better ones more than the base does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gemmalocal.evaluation.measured import Loss, MeasuredRow
from gemmalocal.evaluation.statistics import ALPHA, Interval, direction, fisher, mcnemar, wilson


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


class Rated(NamedTuple):
    """Of `good` answers `raised`, of `bad` ones `lowered`: these have a reward of the right sign.

    `good_gain` and `bad_gain` are what those answers have gained, in nats, on average.
    """

    raised: int
    good: int
    lowered: int
    bad: int
    good_gain: float
    bad_gain: float

    @property
    def right(self) -> int:
        """How many answers have a reward of the right sign."""
        return self.raised + self.lowered

    @property
    def share(self) -> Interval:
        """The win rate: their share, with its interval."""
        return wilson(self.right, self.good + self.bad)

    @property
    def p(self) -> float:
        """How likely signs and ratings agree so much, or so little, by chance: Fisher's exact test, two-sided.

        Who makes all answers likelier is right about each good one, and has told nothing apart.
        """
        return fisher((self.raised, self.good - self.raised), (self.bad - self.lowered, self.lowered))

    @property
    def direction(self) -> int:
        """1 if good answers were raised significantly more often than bad ones, -1 the other way round, else 0."""
        if self.p > ALPHA:
            return 0
        return 1 if self.raised * self.bad > (self.bad - self.lowered) * self.good else -1


def rated(rows: Sequence[MeasuredRow], bad: Sequence[Loss]) -> Rated | None:
    """What good answers (rows) and bad ones say; None where there are none of one kind.

    A reward is the tuned model's log-probability less the base's, as KTO has it (https://arxiv.org/abs/2402.01306).
    """
    if not rows or not bad:
        return None
    rewards = [row.loss.base - row.loss.tuned for row in rows]
    of_bad = [loss.base - loss.tuned for loss in bad]
    return Rated(
        sum(reward > 0 for reward in rewards),
        len(rewards),
        sum(reward < 0 for reward in of_bad),
        len(of_bad),
        sum(rewards) / len(rewards),
        sum(of_bad) / len(of_bad),
    )
