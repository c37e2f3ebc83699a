"""Between steps: on, wait, or end, as the inbox and the machine say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gemmalocal.engine import loop
from gemmalocal.engine.checkpoints import TrainState
from gemmalocal.engine.pause import LONGEST_PAUSE, LOOK_EVERY, PauseControl, PauseDecision
from gemmalocal.jobs.events import Finished, Notice, Saved
from gemmalocal.planning.pressure import Level, Strain
from tests.engine.toy import Toy, work

NORMAL, WARN = Strain(Level.NORMAL), Strain(Level.WARN, "memory pressure", "Close other programs")
CRITICAL = Strain(Level.CRITICAL, "memory pressure", "Close other programs")


class Bench:
    """A brake with a clock of its own: `readings` come one a look, the last one stays."""

    def __init__(self, readings: Iterable[Strain], stop_after: float = 1e9) -> None:
        self.readings, self.slept, self.released = list(readings), 0.0, 0
        self.brake = PauseControl(lambda: self.slept >= stop_after, self.look, self.sleep)

    def look(self) -> Strain:
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def release(self) -> None:
        self.released += 1

    def __call__(self) -> tuple[PauseDecision, list[str]]:
        """The verdict, and what was said."""
        said: list[str] = []
        going = self.brake(self.release)
        while True:
            try:
                event = next(going)
            except StopIteration as end:
                verdict: PauseDecision = end.value
                return verdict, said
            assert isinstance(event, Notice)
            said.append(event.text)


def test_a_calm_machine_goes_on_and_a_wish_to_stop_is_heard() -> None:
    assert Bench([NORMAL])() == (PauseDecision(""), [])
    assert Bench([NORMAL], stop_after=0)() == (PauseDecision("stopped"), [])


def test_it_waits_at_warn_until_all_is_normal() -> None:
    bench = Bench([WARN, WARN, WARN, NORMAL])
    verdict, said = bench()
    assert verdict == PauseDecision("")
    assert bench.slept == 3 * LOOK_EVERY
    assert bench.released == 1
    assert said[0] == "paused: memory pressure is high. Close other programs; it goes on by itself"
    assert said[1].startswith("going on after 6 s")


def test_a_wish_to_stop_ends_a_pause() -> None:
    verdict, said = Bench([WARN], stop_after=10)()
    assert verdict == PauseDecision("stopped")
    assert len(said) == 1


def test_a_pause_has_an_end_and_comes_again_only_after_a_normal_reading() -> None:
    bench = Bench([WARN])
    verdict, said = bench()
    assert (verdict, bench.slept, len(said)) == (PauseDecision(""), LONGEST_PAUSE, 2)
    assert bench() == (PauseDecision(""), [])
    bench.readings = [NORMAL, WARN, NORMAL]
    assert bench() == (PauseDecision(""), [])
    assert len(bench()[1]) == 2


def test_critical_saves_and_ends_with_a_remedy(tmp_path: Path) -> None:
    readings = Bench([NORMAL, NORMAL, WARN, CRITICAL])
    events = list(loop.train(work(tmp_path, 50), Toy(), TrainState(), readings.brake, lambda step: iter(())))
    *_, saved, last = events
    assert isinstance(saved, Saved)
    assert saved.step == 3
    assert last == Finished("strained", "3 of 50 steps; memory pressure is critical. Close other programs, then resume")
