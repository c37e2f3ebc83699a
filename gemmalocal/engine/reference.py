"""What the model as a run starts thinks of its answers: log-probabilities by row, computed once and kept in the run.

No second model is ever in memory for them (https://arxiv.org/abs/2305.18290, where it is called the reference policy).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.protocol import Trainer
from gemmalocal.data.token_store import Examples
from gemmalocal.engine.mismatched import Mismatched
from gemmalocal.engine.objectives.answers import Numbers
from gemmalocal.engine.shares import log_probabilities
from gemmalocal.files import atomic, hashes
from gemmalocal.jobs.events import Event, Notice, Progress

FILE = "reference.json"
ROWS = 64  # computed together
KEEP_EVERY = 30.0  # seconds between two writings
ANSWERS, MISMATCHED = "answers", "mismatched"


class Reference:
    """Log-probabilities (stored rows,) of a run's answers, and of answers to other rows' prompts; NaN if not known."""

    def __init__(self, run: Path, rows: int) -> None:
        self._path = run / FILE
        self._values = {name: np.full(rows, np.nan) for name in (ANSWERS, MISMATCHED)}
        self.damage = ""
        if self._path.exists():
            self._read(rows)

    def answers(self, rows: NDArray[np.int64]) -> Numbers:
        """Of the answers of these stored rows, (rows,), in nats."""
        return self._values[ANSWERS][rows]

    def mismatched(self, rows: NDArray[np.int64]) -> Numbers:
        """Of what `Mismatched` makes of these stored rows, (rows,), in nats."""
        return self._values[MISMATCHED][rows]

    def fill(
        self, examples: Examples, rows: int | None, model: Trainer, mismatched: Mismatched | None = None
    ) -> Iterator[Event]:
        """Compute what is missing of these examples, by a model that has not been trained yet, and keep it.

        At most `rows` rows stand in a micro-batch. `mismatched` are looked at too, if they are given.
        """
        yield from self._fill(ANSWERS, examples, examples, rows, model)
        if mismatched is not None:
            yield from self._fill(MISMATCHED, mismatched, examples, rows, model)

    def _fill(
        self, name: str, looked_at: Examples | Mismatched, examples: Examples, rows: int | None, model: Trainer
    ) -> Iterator[Event]:
        values, stored = self._values[name], examples.indices
        _, first = np.unique(stored, return_index=True)  # rows that are trained on several times are looked at once
        missing = first[np.isnan(values[stored[first]])]
        missing = missing[np.argsort(examples.lengths[missing], kind="stable")]
        kept = time.monotonic()
        for start in range(0, len(missing), ROWS):
            yield Progress("asking the model as it starts", start, len(missing))
            places = missing[start : start + ROWS]
            values[stored[places]] = log_probabilities([looked_at[int(place)] for place in places], rows, model)
            if time.monotonic() - kept > KEEP_EVERY:
                self._keep(model)
                kept = time.monotonic()
        if len(missing):
            self._keep(model)

    def _keep(self, model: Trainer) -> None:
        if model.group.rank == 0:
            lists = {
                name: [None if np.isnan(value) else value for value in values.tolist()]
                for name, values in self._values.items()
            }
            atomic.write_text(self._path, hashes.seal(lists))

    def _read(self, rows: int) -> None:
        try:
            lists, sealed = hashes.unseal(self._path.read_text(encoding="utf-8"))
            read = {name: np.array(lists[name], np.float64) for name in (ANSWERS, MISMATCHED)}
            if not sealed or any(values.shape != (rows,) for values in read.values()):
                raise hashes.Damaged(hashes.CHANGED)
            self._values = read
        except (OSError, ValueError, KeyError, TypeError, hashes.Damaged):
            self.damage = f"{FILE} is damaged: the model as it starts is asked again"

    def notices(self) -> Iterator[Notice]:
        """What is to be told of the file."""
        if self.damage:
            yield Notice(self.damage)
