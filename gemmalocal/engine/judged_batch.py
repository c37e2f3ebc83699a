"""A batch of answers whose objective couples them: from log-probabilities of tokens to slopes by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.protocol import Objective, TokenValues, Trainer
from gemmalocal.data.batches import MicroBatch
from gemmalocal.data.examples import Example
from gemmalocal.data.judged_rounds import Round
from gemmalocal.engine.objectives.answers import Answers, Judged, Numbers
from gemmalocal.engine.shares import by_row, predicted
from gemmalocal.engine.tally import Tally, tally


@dataclass(frozen=True)
class JudgedBatch:
    """Examples, (n,) what the reference thinks of them and which are good, and `judge`, the objective.

    `reference` is None for an objective that needs none; `divergence` is that of `Answers`.
    """

    examples: Sequence[Example]
    good: NDArray[np.bool_]
    reference: Numbers | None
    divergence: float
    judge: Callable[[Answers], Judged]
    group: int  # examples that are judged together

    def answers(self, places: NDArray[np.int64], log_probabilities: Numbers) -> Answers:
        """What the objective takes of the answers at these places, in this order."""
        tokens = np.array([predicted(self.examples[place]) for place in places.tolist()], np.float64)
        reference = np.zeros(len(places)) if self.reference is None else self.reference[places]
        return Answers(log_probabilities, tokens, reference, self.good[places], self.divergence)

    def judged(self, places: Sequence[int], log_probabilities: Numbers) -> tuple[Tally, Numbers]:
        """What the objective makes of the answers at these places, and its slopes by their log-probabilities, (n,).

        The places may come in any order, but no group without all its members.
        """
        order = np.argsort(places)  # as in the batch, where those of a group follow each other
        answers = self.answers(np.array(places)[order], log_probabilities[order])
        judged = self.judge(answers)
        slopes = np.empty(len(order))
        slopes[order] = judged.slopes
        return tally(answers, judged, self.group, self.reference is not None), slopes

    def accumulate(self, one_round: Round, trainer: Trainer) -> Tally:
        """Let a trainer take in a round; where it takes several passes, log-probabilities come first."""
        tallies: list[Tally] = []

        def slopes_of(
            parts: Sequence[MicroBatch], values: Sequence[TokenValues]
        ) -> tuple[float, Sequence[TokenValues]]:
            judged, slopes = self._by_token(parts, values)
            tallies.append(judged)
            return judged.loss, slopes

        if len(one_round.passes) == 1:
            (parts,) = one_round.passes
            trainer.accumulate(parts, lambda values: slopes_of(parts, values))
            return tallies[0]
        known = [trainer.log_probabilities(parts, dropout=True) for parts in one_round.passes]
        loss, slopes = slopes_of(list(chain(*one_round.passes)), list(chain(*known)))
        left = iter(slopes)
        for parts in one_round.passes:
            trainer.accumulate(parts, _known(loss, [next(left) for _ in parts]))
            loss = 0.0  # counted once
        return tallies[0]

    def _by_token(self, parts: Sequence[MicroBatch], values: Sequence[TokenValues]) -> tuple[Tally, list[TokenValues]]:
        """What is judged in micro-batches, and the slope of each of their supervised tokens, (n,) for each part."""
        counts = [[predicted(self.examples[place]) for place in part.rows] for part in parts]
        sums = [by_row(of_part, of_rows) for of_part, of_rows in zip(values, counts, strict=True)]
        judged, slopes = self.judged([place for part in parts for place in part.rows], np.concatenate(sums))
        of_parts = np.split(slopes, np.cumsum([len(part.rows) for part in parts])[:-1])
        return judged, [
            np.repeat(of_rows, tokens).astype(np.float32) for of_rows, tokens in zip(of_parts, counts, strict=True)
        ]


def _known(loss: float, slopes: Sequence[TokenValues]) -> Objective:
    """An objective whose slopes are known before the pass."""
    return lambda values: (loss, slopes)
