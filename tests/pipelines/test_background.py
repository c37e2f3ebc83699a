"""Work beside us: its progress becomes events, with the time that is left once a pace is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import pytest

from gemmalocal.jobs.events import Event, Progress
from gemmalocal.pipelines.shared.background import Stopped, in_background


def test_progress_tells_what_is_left_once_there_is_a_pace() -> None:
    def work(tell: Callable[[str, int, int], None]) -> None:
        for what in ("reading", "writing"):
            for done in range(5):
                tell(what, done, 4)
                time.sleep(0.002)

    told = [event for event in in_background(work) if isinstance(event, Progress)]
    assert [event.what for event in told] == ["reading"] * 5 + ["writing"] * 5
    for half in (told[:5], told[5:]):
        assert half[0].left is None
        assert all(event.left is not None and event.left >= 0 for event in half[1:])
        assert half[-1].left == 0


def test_a_stop_that_comes_as_the_work_ends_is_heard_unless_nothing_follows() -> None:
    with pytest.raises(Stopped):
        list(in_background(lambda tell: "done", lambda: [{"do": "stop"}]))
    assert result(in_background(lambda tell: "done", lambda: [{"do": "stop"}], final=True)) == "done"


def result(events: Generator[Event, None, str]) -> str:
    """What a generator comes to, its events passed over."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            return str(end.value)
