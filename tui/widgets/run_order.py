"""Which runs are listed, and in which order: by what is written in the search, a state, an order."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gemmalocal.workspace.runs import Run


class Order(NamedTuple):
    """By what runs are sorted, in words and as a key."""

    words: str
    key: Callable[[Run], Any]


def _held_out(run: Run) -> float:
    return run.state.best.loss if run.whole and run.state.best else math.inf  # by a glance the best is not known


def _steps(run: Run) -> float:
    return -run.state.steps[-1].step if run.state.steps else 0.0


ORDERS = {
    "newest": Order("newest first", lambda run: (run.state.status != "live", -run.at)),
    "name": Order("by name", lambda run: run.name.casefold()),
    "held-out": Order("lowest held-out loss first", _held_out),
    "steps": Order("most steps first", _steps),
}
STATES = {
    "": "all",
    "live": "running",
    "done": "done",
    "stopped": "stopped",
    "failed": "failed",
}  # what is shown: the word for it
ALIKE = {"early": "done", "strained": "stopped", "killed": "failed", "damaged": "failed", "empty": "failed"}


class Choice(NamedTuple):
    """What is listed: `query` as it is typed, the state, and the order, each by its name."""

    query: str = ""
    state: str = ""
    order: str = "newest"

    def words(self, shown: int, of: int) -> str:
        """What is listed of how many."""
        count = f"{shown} of {of}" if self.query or self.state else ""
        state = f"only {STATES[self.state]}" if self.state else ""
        order = ORDERS[self.order].words if self.order != "newest" else ""
        return " · ".join(filter(None, (count, state, order)))


def arrange(runs: list[Run], choice: Choice) -> list[Run]:
    """Those that are asked for, sorted; each word of the query stands somewhere in what a run says of itself."""
    words = choice.query.casefold().split()
    kept = [
        run
        for run in runs
        if choice.state in ("", ALIKE.get(run.state.status, run.state.status))
        and (not words or all(word in _said(run) for word in words))
    ]
    return kept if choice.order == "newest" else sorted(kept, key=ORDERS[choice.order].key)


def _said(run: Run) -> str:
    """All by which a run may be looked for; a tag begins with #."""
    from gemmalocal.jobs import history

    model, rows = history.word(run.spec, "model"), history.word(run.spec, "data", "path")
    tags = (f"#{tag}" for tag in run.labels.tags)
    return " ".join((run.name, model, rows, run.state.status, run.verdict, *tags, run.labels.note)).casefold()


def following(names: dict[str, Any], name: str) -> str:
    """The next name, and round."""
    keys = list(names)
    return keys[(keys.index(name) + 1) % len(keys)]
