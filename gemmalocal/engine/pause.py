"""Between two steps: whether to go on, to wait for the machine, or to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import NamedTuple

from gemmalocal.jobs.events import Event, Notice
from gemmalocal.planning.pressure import Level, Strain

LOOK_EVERY = 2.0  # seconds between two looks while waiting
LONGEST_PAUSE = 120.0  # seconds


class PauseDecision(NamedTuple):
    """`outcome` is empty to go on, else stopped or strained; `reason` is for a person."""

    outcome: str
    reason: str = ""


class PauseControl:
    """Obeys a wish to stop and the machine's strain: waits at WARN, ends at CRITICAL.

    A pause has an end, and the next one comes only after a normal reading: the weights that we hold may themselves be
    what the system warns of, and waiting would not change that.
    """

    def __init__(
        self, stop: Callable[[], bool], strain: Callable[[], Strain], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._stop, self._strain, self._sleep = stop, strain, sleep
        self._paused = False  # since the last normal reading

    def __call__(self, release: Callable[[], None]) -> Generator[Event, None, PauseDecision]:
        """Return at once, or wait first; `release` gives memory back that is not needed meanwhile."""
        waited_seconds = 0.0
        while not self._stop():
            reading = self._strain()
            if reading.level == Level.CRITICAL:
                return PauseDecision("strained", f"{reading.resource} is critical. {reading.remedy}, then resume")
            if reading.level == Level.NORMAL:
                self._paused = False
            if (
                reading.level == Level.NORMAL
                or waited_seconds >= LONGEST_PAUSE
                or (self._paused and not waited_seconds)
            ):
                if waited_seconds:
                    level = reading.level.name.lower()
                    yield Notice(f"going on after {waited_seconds:.0f} s: {reading.resource or 'strain'} is {level}")
                return PauseDecision("")
            if not waited_seconds:
                self._paused = True
                release()
                yield Notice(f"paused: {reading.resource} is high. {reading.remedy}; it goes on by itself")
            self._sleep(LOOK_EVERY)
            waited_seconds += LOOK_EVERY
        return PauseDecision("stopped")
