"""A job shown while somebody waits for it: a table that changes in a notebook, else lines on stderr."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from gemmalocal.api import pages
from gemmalocal.jobs import event_words, judged
from gemmalocal.jobs.events import Evaluated, Event, Step
from gemmalocal.jobs.history import JobState
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.jobs.terminal_text import printable
from gemmalocal.planning import throughput

EVERY = 0.5  # seconds between two looks of the table
LINES = 10  # of so many steps one is printed


class Watcher:
    """Shows one job to whoever waits."""

    def __init__(self, name: str) -> None:
        self._name, self._shown = name, 0.0
        self._display = _notebook()

    def show(self, state: JobState, event: Event) -> None:
        """What has just happened, in `state` already."""
        if self._display is None:
            if text := line(event):
                print(printable(text), file=sys.stderr, flush=True)
        elif time.monotonic() > self._shown + EVERY:
            self._draw(state)

    def end(self, state: JobState) -> None:
        """How it came out."""
        if self._display is not None:
            self._draw(state)
        else:
            print(f"{self._name}: {state.status}", file=sys.stderr, flush=True)

    def leave(self, folder: Path) -> None:
        """It goes on without whoever waited: how to find it again."""
        print(
            f"{self._name} goes on. Look again: gemmalocal.run({self._name!r}).wait(), or in a terminal: gemmalocal "
            f"watch {self._name}. To end it: .stop()",
            file=sys.stderr,
            flush=True,
        )

    def _draw(self, state: JobState) -> None:
        self._shown = time.monotonic()
        self._display.update({"text/html": pages.of_job(self._name, state)}, raw=True)


def _notebook() -> Any:
    """What a notebook's output is changed by; None elsewhere."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython
    from IPython.display import display

    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):  # a terminal
        return None
    return display({"text/html": ""}, raw=True, display_id=True)


def line(event: Event) -> str:
    """What an event says, where lines are printed; empty for what is not told."""
    match event:
        case Evaluated():
            told = judged.sentence(event.preference)
            return f"held-out loss at step {event.step}: {loss_text(event.loss, 4)}{told and f'; {told}'}"
        case Step() if event.step % LINES == 0 or event.step in (1, event.steps):
            left = throughput.duration(throughput.seconds_left([event]))
            return f"step {event.step}/{event.in_all}  loss {loss_text(event.loss)}  {left} left"
    return event_words.sentence(event)
