"""Long work that tells its progress by a function, run beside us, so that a pipeline can yield it as events."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import TypeVar

from gemmalocal.jobs.events import Event, Progress, Stage
from gemmalocal.pipelines import Commands, stop_asked

Result = TypeVar("Result")

LOOK = 0.2  # seconds between two looks at the inbox
PACE = 16  # pieces of news by which the time that is left is told
UNKNOWN = float("inf")  # seconds
GRACE = 20.0  # seconds that work may take to notice that it was stopped


class Stopped(Exception):
    """Raised inside the work at its next progress, and then out of `in_background`."""


class Teller:
    """What work tells its progress by, and `say`s its other news; raises `Stopped` once a stop is wanted."""

    def __init__(self) -> None:
        self.news: SimpleQueue[Event | None] = SimpleQueue()
        self.stop = Flag()

    def __call__(self, activity: str, done: int, total: int, left: float | None = None) -> None:
        """So much of an activity is done, in any unit; raises `Stopped` once a stop is wanted.

        `left` are the seconds until all is done, where the work knows better than its pace so far tells, or `UNKNOWN`.
        """
        self.say(Progress(activity, done, total, left))

    def say(self, event: Event) -> None:
        """Pass on an event; raises `Stopped` once a stop is wanted."""
        if self.stop.is_set():
            raise Stopped
        self.news.put(event)


def in_background(
    work: Callable[[Teller], Result], commands: Commands = list, final: bool = False
) -> Generator[Event, None, Result]:
    """Yield what `work(tell)` tells, its progress at most each percent; return its result, raise its error.

    When `commands` brings a stop, `Stopped` is raised: also for one that came as the work ended, since nobody would
    hear of it later, unless the work is the `final` one, after which nothing is left to stop.
    """
    tell = Teller()
    results: list[Result] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work(tell))
        except BaseException as error:  # carried over to the caller's thread
            failures.append(error)
        finally:
            tell.news.put(None)

    Thread(target=run, daemon=True).start()  # daemon: work that never notices does not keep the process
    yield from _progress_events(tell, commands)
    if tell.stop.is_set() and not (final and results):
        raise Stopped
    if failures:
        raise failures[0]
    return results[0]


def _progress_events(tell: Teller, commands: Commands) -> Generator[Event, None, None]:
    last_told: tuple[str, int] = ("", -1)
    samples: deque[tuple[float, int]] = deque(maxlen=PACE)  # when, and how much was done
    deadline = float("inf")
    while time.monotonic() < deadline:
        if not tell.stop.is_set() and stop_asked(commands):
            tell.stop.set()
            yield Stage("stopping")
            deadline = time.monotonic() + GRACE
        try:
            event = tell.news.get(timeout=LOOK)
        except Empty:
            continue
        if event is None:
            return
        if not isinstance(event, Progress):
            yield event
        elif (percent := (event.what, 100 * event.done // max(1, event.total))) != last_told:
            if event.what != last_told[0]:
                samples.clear()
            samples.append((time.monotonic(), event.done))
            last_told = percent
            left = _seconds_left(samples, event.total) if event.left is None else event.left
            yield replace(event, left=None if left == UNKNOWN else left)


def _seconds_left(samples: deque[tuple[float, int]], total: int) -> float | None:
    """Seconds until all is done, at the pace of the latest news: a quick start (known answers) is soon forgotten."""
    (start, done_before), (end, done_now) = samples[0], samples[-1]
    return round((total - done_now) * (end - start) / (done_now - done_before), 1) if done_now > done_before else None
