"""Ranks of a group, as threads: whatever happens to one happens to all, and rank 0 alone writes."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.backends.process_group import ALONE, gather
from gemmalocal.backends.protocol import Objective, TokenIds, Update
from gemmalocal.data.batches import MicroBatch
from gemmalocal.engine import checkpoints, loop
from gemmalocal.engine.pause import PauseControl
from gemmalocal.jobs.events import Event, Finished, Rollback, Saved, Step
from gemmalocal.pipelines.shared.distributed import StopWish, brake, worst_of_all
from gemmalocal.planning import pressure
from gemmalocal.planning.pressure import Level, Strain
from tests.engine.toy import Toy, work

SIZE = 3


class Threads:
    """A rank among threads that share a list and a barrier."""

    size = SIZE

    def __init__(self, rank: int, given: list[list[float]], barrier: threading.Barrier) -> None:
        self.rank, self._given, self._barrier = rank, given, barrier

    def sum(self, values: Sequence[float]) -> list[float]:
        self._given[self.rank] = list(values)
        self._barrier.wait(20)
        summed = [math.fsum(each) for each in zip(*self._given, strict=True)]
        self._barrier.wait(20)
        return summed


class Sharing(Toy):
    """A toy that sums over its group, as the protocol says."""

    parts: int = 0

    def accumulate(
        self,
        parts: Sequence[MicroBatch],
        objective: Objective | None = None,
        choices: Sequence[TokenIds] | None = None,
    ) -> None:
        self.parts += len(parts)
        self.tokens += sum(part.supervised for part in parts)

    def apply(self, learning_rate: float, count: float | None = None) -> Update:
        tokens, parts = self.group.sum([self.tokens, self.parts])
        self.tokens, self.parts, self.draws = int(tokens), 0, self.draws + int(parts)
        self.seen = [self.plant(self.loss(), self.draws)]
        return super().apply(learning_rate)


def all_ranks(each: Callable[[Threads], list[Event]]) -> list[list[Event]]:
    """What each rank says."""
    barrier, given = threading.Barrier(SIZE), [[0.0] for _ in range(SIZE)]
    with ThreadPoolExecutor(SIZE) as pool:
        return list(pool.map(each, [Threads(rank, given, barrier) for rank in range(SIZE)]))


def trained(group: Threads, folder: Path, toy: Toy, held: PauseControl) -> list[Event]:
    """What one rank says."""
    toy.group, job = group, work(folder, 12)
    return list(loop.train(job, toy, loop.resume(job, toy), held, lambda step: iter(())))


def asked_at(look: int) -> Callable[[], list[dict[str, Any]]]:
    """An inbox in which a wish to stop lies at the given look (from 1)."""
    looks = iter(range(1, 1_000_000))
    return lambda: [{"do": "stop"}] if next(looks) == look else []


def plain(events: list[Event]) -> list[Event]:
    """Without what only rank 0 says, and without times."""
    steps = [(event.step, event.loss, event.tokens) if isinstance(event, Step) else event for event in events]
    return [event for event in steps if not isinstance(event, Saved)]  # type: ignore[misc]


def test_gather_tells_each_what_each_gave() -> None:
    assert gather(ALONE, 1, 2.5) == [[1, 2.5]]
    found: list[list[list[float]]] = [[] for _ in range(SIZE)]

    def each(group: Threads) -> list[Event]:
        found[group.rank] = gather(group, group.rank, 10.0 * group.rank)
        return []

    all_ranks(each)
    assert found == [[[0, 0], [1, 10], [2, 20]]] * SIZE


@pytest.mark.parametrize("who", range(SIZE))
def test_a_wish_to_stop_of_one_stops_all_at_the_same_step(
    tmp_path: Path, who: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pressure, "gauges", list)  # this machine's own state is not what is tested

    def each(group: Threads) -> list[Event]:
        return trained(group, tmp_path, Sharing(), brake(StopWish(asked_at(5 if group.rank == who else 0)), group))

    said = all_ranks(each)
    assert [events[-1] for events in said] == [Finished("stopped", "5 of 12 steps")] * SIZE
    assert plain(said[0]) == plain(said[1]) == plain(said[2])
    assert int(checkpoints.existing(tmp_path)[-1].name) == 5


@pytest.mark.parametrize("who", range(SIZE))
def test_a_strained_machine_stops_all(tmp_path: Path, who: int) -> None:
    def each(group: Threads) -> list[Event]:
        mine = Strain(Level.CRITICAL if group.rank == who else Level.NORMAL, "memory")
        return trained(group, tmp_path, Sharing(), PauseControl(lambda: False, lambda: worst_of_all(group, mine)))

    ends = [event for events in all_ranks(each) for event in events if isinstance(event, Finished)]
    assert [end.outcome for end in ends] == ["strained"] * SIZE
    assert ("another machine" in ends[0].message) == (who != 0)


def test_a_group_goes_back_and_ends_like_one(tmp_path: Path) -> None:
    def plant(loss: float, draws: int) -> float:
        return math.nan if 14 <= draws <= 20 else loss

    toys = [Sharing(plant=plant) for _ in range(SIZE)]
    calm = PauseControl(lambda: False, lambda: Strain(Level.NORMAL))
    said = all_ranks(lambda group: trained(group, tmp_path, toys[group.rank], calm))
    assert plain(said[0]) == plain(said[1]) == plain(said[2])
    assert [len([event for event in events if isinstance(event, Rollback)]) for events in said] == [1] * SIZE
    assert [any(isinstance(event, Saved) for event in events) for events in said] == [True, False, False]
    assert len({(toy.weight, toy.momentum, toy.draws) for toy in toys}) == 1
    assert said[0][-1] == Finished("done", "12 of 12 steps")
