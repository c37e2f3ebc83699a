"""What was judged, summed: over the parts of a batch, over ranks, over held-out answers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gemmalocal.engine.guide import Figures
from gemmalocal.engine.objectives.answers import Answers, Judged, lead


class Tally(NamedTuple):
    """Sums over judged answers.

    Of pairs, `judged` counts pairs, `right` of those whose chosen answer has the higher reward, `margin` sums by how
    much. Of answers that are judged one by one, `judged` counts answers, `right` of those whose reward is on its side
    of 0, `margin` sums how far on it. A tie is half right. `chosen` and `rejected` sum what those answers have gained
    over the reference, in nats; without a reference their log-probabilities by token.
    """

    loss: float = 0.0
    judged: float = 0.0
    right: float = 0.0
    margin: float = 0.0
    chosen: float = 0.0
    rejected: float = 0.0
    good: float = 0.0  # answers that are chosen, or rated good
    bad: float = 0.0

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def figures(self) -> Figures:
        """Means: accuracy (from 0 to 1), margin, chosen and rejected; what there was no answer for is left out."""
        means = {"accuracy": self.right / self.judged, "margin": self.margin / self.judged}
        means |= {"chosen": self.chosen / self.good} if self.good else {}
        return means | ({"rejected": self.rejected / self.bad} if self.bad else {})


def tally(answers: Answers, judged: Judged, group: int, referring: bool) -> Tally:
    """What there is to say of some answers, `group` of which are judged together."""
    side = np.where(answers.good, 1.0, -1.0)
    margins = lead(judged.rewards) if group == 2 else side * judged.rewards
    told = answers.gained if referring else answers.means
    return Tally(
        loss=float(judged.losses.sum()),
        judged=len(margins),
        right=float((margins > 0).sum() + (margins == 0).sum() / 2),
        margin=float(margins.sum()),
        chosen=float(told[answers.good].sum()),
        rejected=float(told[~answers.good].sum()),
        good=int(answers.good.sum()),
        bad=int((~answers.good).sum()),
    )
