"""What the model as a run starts thinks of its answers: log-probabilities by row, computed once and kept in the run.

No second model is ever in memory for them (https://arxiv.org/abs/2305.18290, where it is called the reference policy).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.process_group import ALONE, Group
from gemmalocal.backends.protocol import Trainer
from gemmalocal.data.examples import Example
from gemmalocal.data.token_store import Examples
from gemmalocal.engine.judged_side import JudgedSide
from gemmalocal.engine.objectives.answers import Numbers
from gemmalocal.engine.shares import log_probabilities
from gemmalocal.files import atomic, hashes
from gemmalocal.jobs.events import Event, Progress

FILE = "reference.json"
ROWS = 64  # computed together
KEEP_EVERY = 30.0  # seconds between two writings
ANSWERS, MISMATCHED = "answers", "mismatched"


class Reference:
    """Log-probabilities (stored rows,) of a run's answers, and of answers to other rows' prompts; NaN if not known."""

    def __init__(self, run: Path, rows: int, group: Group = ALONE) -> None:
        self._path = run / FILE
        self._values = {name: np.full(rows, np.nan) for name in (ANSWERS, MISMATCHED)}
        self.damage = ""  # what is wrong with the file that was there, as a sentence
        if group.rank == 0 and self._path.exists():
            self._read(rows)
        if group.size > 1:
            self._values = {name: _of_leader(values, group) for name, values in self._values.items()}

    def answers(self, rows: NDArray[np.int64]) -> Numbers:
        """Of the answers of these stored rows, (rows,), in nats."""
        return self._values[ANSWERS][rows]

    def mismatched(self, rows: NDArray[np.int64]) -> Numbers:
        """Of what `Mismatched` makes of these stored rows, (rows,), in nats."""
        return self._values[MISMATCHED][rows]

    def lacks(self, side: JudgedSide, places: NDArray[np.int64]) -> bool:
        """Whether something is not known of the examples at these places."""
        stored = side.examples.indices[places]
        lists = [ANSWERS] if side.mismatched is None else [ANSWERS, MISMATCHED]
        return any(bool(np.isnan(self._values[name][stored]).any()) for name in lists)

    def fill(self, side: JudgedSide, places: NDArray[np.int64], rows: int | None, model: Trainer) -> Iterator[Event]:
        """Compute what is missing of the examples at these places, by a model that has not been trained yet; keep it.

        At most `rows` rows stand in a micro-batch.
        """
        yield from self._fill(ANSWERS, side.examples, side.examples, places, rows, model)
        if side.mismatched is not None:
            yield from self._fill(MISMATCHED, side.mismatched, side.examples, places, rows, model)

    def _fill(
        self,
        name: str,
        looked_at: Sequence[Example],
        examples: Examples,
        places: NDArray[np.int64],
        rows: int | None,
        model: Trainer,
    ) -> Iterator[Event]:
        values, stored = self._values[name], examples.indices
        _, first = np.unique(stored[places], return_index=True)  # rows that are trained on several times: once
        missing = places[first][np.isnan(values[stored[places[first]]])]
        missing = missing[np.argsort(examples.lengths[missing], kind="stable")]
        kept = time.monotonic()
        for start in range(0, len(missing), ROWS):
            yield Progress("asking the model as it starts", start, len(missing))
            part = missing[start : start + ROWS]
            values[stored[part]] = log_probabilities([looked_at[int(place)] for place in part], rows, model)
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


def _of_leader(values: Numbers, group: Group) -> Numbers:
    """What rank 0 knows, on every rank: all must agree on what is missing."""
    known = ~np.isnan(values) if group.rank == 0 else np.zeros(len(values), np.bool_)
    told = group.sum([*np.where(known, values, 0.0).tolist(), *known.astype(float).tolist()])
    summed, is_known = np.split(np.array(told), 2)
    return np.where(is_known > 0, summed, np.nan)
