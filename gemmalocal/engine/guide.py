"""What the loop asks of whatever tells it how an answer should be, where that is more than the answer itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.protocol import Trainer
from gemmalocal.jobs.events import Event

Figures = dict[str, float]  # what a person reads, by name


class Losses(NamedTuple):
    """Of each group of examples, (groups,) each, the same on all ranks: its loss, and how much is judged in it.

    The sum of one by the sum of the other is the mean loss that `Told` has.
    """

    loss: NDArray[np.float64]
    judged: NDArray[np.float64]


class Told(Protocol):
    """Sums over what was taken in or measured, on all ranks: the loss, and what it is divided by."""

    @property
    def loss(self) -> float:
        """In the objective's own units."""

    @property
    def judged(self) -> float:
        """Pairs, answers, or tokens by their weights."""

    @property
    def figures(self) -> Figures:
        """Means that tell more than the loss."""


class Guide(Protocol):
    """An objective with what it needs beside the rows: a reference, or a teacher."""

    group: int  # examples that stand together, such as 2 of a pair
    judges: str  # what its loss is a mean over: pair, answer or token

    def before(self, step: int, trainer: Trainer) -> Iterator[Event]:
        """What must be there before a step (from 1) is taken."""

    def accumulate(self, places: NDArray[np.int64], trainer: Trainer) -> Told:
        """Let a trainer take in a batch, the training examples at these places; what came of it, over all ranks."""

    def measure(self, model: Trainer) -> Told:
        """The same of what is measured, without dropout or a gradient."""

    def losses(self, model: Trainer) -> Losses:
        """Of what is measured, group by group."""

    @property
    def tokens(self) -> int:
        """Supervised tokens of what is measured."""

    def warnings(self, measured: Told) -> Iterator[str]:
        """What looks wrong in what was measured; each is said once."""
