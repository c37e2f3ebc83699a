"""The processes that train one model together, each on its share of a batch: ranks 0 to size - 1.

Rank 0 alone writes. The others compute the same weights from the same sums, and so come to the same decisions; what a
machine says by itself (its memory, its owner's wish to stop) is gathered before it decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gemmalocal.errors import BackendUnavailable
from gemmalocal.jobs import launcher


class Group(Protocol):
    """How a process stands to the others."""

    rank: int
    size: int

    def sum(self, values: Sequence[float]) -> list[float]:
        """Add up lists of one length over all ranks, in float64; waits for all, raises `WorkKilled` if one is gone."""


class Alone:
    """A group of one."""

    rank, size = 0, 1

    def sum(self, values: Sequence[float]) -> list[float]:
        """The values."""
        return list(values)


ALONE = Alone()


def joined(engine: str, own_launcher: str, remedy: str, join: Callable[[], Group]) -> Group:
    """This process alone, or what `join` gives if the engine's `own` launcher started several.

    Raises `BackendUnavailable` for another launcher; `way_out` says what to do.
    """
    launched = launcher.launched()
    if launched is None:
        return ALONE
    if launched.by != own_launcher:
        raise BackendUnavailable(f"{launched.by} cannot join processes of {engine}.", remedy)
    return join()


def gather(group: Group, *values: float) -> list[list[float]]:
    """What each rank gave, rank by rank."""
    count = len(values)
    flat = [0.0] * (count * group.size)
    flat[count * group.rank : count * (group.rank + 1)] = values
    summed = group.sum(flat)
    return [summed[start : start + count] for start in range(0, len(summed), count)]


def wait(group: Group) -> None:
    """Return when all ranks have come here."""
    group.sum([0.0])
