"""Events of a job to lines on stderr, with a progress bar where stderr is a terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap

from gemmalocal.cli.output import clear_line, note, rewrite_line, styled
from gemmalocal.files.sizes import gigabytes
from gemmalocal.jobs import event_words, judged
from gemmalocal.jobs.events import (
    Evaluated,
    Event,
    Failed,
    Finished,
    Notice,
    Progress,
    Rollback,
    Sample,
    Saved,
    Skipped,
    Stage,
    Started,
    Step,
    Trial,
    Tried,
)
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.jobs.terminal_text import on_line, visible
from gemmalocal.planning import throughput

WIDTH = 24


class EventPrinter:
    """Tells a job to a person, event by event."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._bar = False
        self._first: float | None = None
        self._steps: list[Step] = []

    def __call__(self, event: Event) -> None:
        """Say one event."""
        match event:
            case Started() if event.step:
                self._line(f"attempt {event.attempt}, going on from step {event.step}")
            case Stage():
                self._line(event_words.sentence(event), dim=True)
            case Progress():
                self._progress(event)
            case Trial() if self._live:
                where = f"{event.words}: step {event.step}/{event.steps}"
                self._show(f"  {bar(event.step, event.steps)} {where}  loss {loss_text(event.loss)}")
            case Notice() | Skipped() | Rollback() | Tried():
                self._line(event_words.sentence(event))
            case Step():
                self._step(event)
            case Evaluated():
                self._evaluated(event)
            case Sample():
                self._sample(event)
            case Saved():
                self._line(f"saved step {event.step}{' (best)' if event.best else ''}", dim=True)
            case Finished():
                self._line(f"{event.outcome}: {event.message}" if event.message else event.outcome)
            case Failed():
                self._line(f"failed: {event.message} {event.hint}")

    def close(self) -> None:
        """End a bar that is still on the line."""
        if self._bar:
            note()
        self._bar = False

    def _line(self, text: str, dim: bool = False) -> None:
        if self._bar:
            clear_line()
            self._bar = False
        note(styled(text, dim=True) if dim else text)

    def _show(self, text: str) -> None:
        rewrite_line(text)
        self._bar = True

    def _progress(self, event: Progress) -> None:
        if self._live:
            left = f"  {throughput.duration(event.left)} left" if event.left is not None else ""
            self._show(f"  {bar(event.done, event.total)} {event.what} {event.done}/{event.total}{left}")

    def _step(self, event: Step) -> None:
        self._steps = [*self._steps[1 - throughput.RECENT :], event]
        left = throughput.duration(throughput.seconds_left(self._steps))
        text = (
            f"  {bar(event.step, event.steps)} step {event.step}/{event.in_all}  loss {loss_text(event.loss)}  "
            f"{event.tokens / max(event.seconds, 1e-9):.0f} tok/s  {gigabytes(event.memory)} GB  {left} left"
        )
        if self._live:
            self._show(text)
        elif event.step % 10 == 0 or event.step in (1, event.steps):
            self._line(text)

    def _sample(self, event: Sample) -> None:
        width = max(30, min(shutil.get_terminal_size().columns, 110) - 12)
        between = "\n" if event.calls else ""
        text = visible(event.prompt + between + event.shown).strip() + ("" if event.stopped else " ...")
        lines = [part for line in text.split("\n") for part in textwrap.wrap(line, width)]
        self._line(
            "\n".join(f"  {'' if number else on_line(event.when, 6):>6} │ {line}" for number, line in enumerate(lines))
        )

    def _evaluated(self, event: Evaluated) -> None:
        change = ""
        if self._first is None:
            self._first = event.loss
        else:
            change = f" ({round(100 * (event.loss / self._first - 1)):+} %)"
        told = judged.sentence(event.preference)
        self._line(f"held-out loss at step {event.step}: {loss_text(event.loss, 4)}{change}{told and f'; {told}'}")


def bar(done: int, total: int) -> str:
    """A bar of `WIDTH` cells."""
    full = WIDTH * done // max(1, total)
    return "█" * full + "░" * (WIDTH - full)
