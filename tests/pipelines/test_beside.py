"""Work beside us: its progress becomes events, with the time that is left once a pace is known."""

from __future__ import annotations

import time
from collections.abc import Callable

from gemmalocal.events import Progress
from gemmalocal.pipelines.beside import beside


def test_progress_tells_what_is_left_once_there_is_a_pace() -> None:
    def work(tell: Callable[[str, int, int], None]) -> None:
        for what in ("reading", "writing"):
            for done in range(5):
                tell(what, done, 4)
                time.sleep(0.002)

    told = [event for event in beside(work) if isinstance(event, Progress)]
    assert [event.what for event in told] == ["reading"] * 5 + ["writing"] * 5
    for half in (told[:5], told[5:]):
        assert half[0].left is None
        assert all(event.left is not None and event.left >= 0 for event in half[1:])
        assert half[-1].left == 0
