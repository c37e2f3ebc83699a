"""What the loop asks of whatever tells it how an answer should be, where that is more than the answer itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.protocol import Trainer
from gemmalocal.jobs.events import Event

Figures = dict[str, float]  # what a person reads, by name


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

    def before(self, step: int, trainer: Trainer) -> Iterator[Event]:
        """What must be there before a step (from 1) is taken."""

    def accumulate(self, places: NDArray[np.int64], trainer: Trainer) -> Told:
        """Let a trainer take in a batch, the training examples at these places; what came of it, over all ranks."""

    def measure(self, model: Trainer) -> Told:
        """The same of what is measured, without dropout or a gradient."""

    @property
    def tokens(self) -> int:
        """Supervised tokens of what is measured."""

    def warnings(self, measured: Told) -> Iterator[str]:
        """What looks wrong in what was measured; each is said once."""
