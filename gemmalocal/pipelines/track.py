"""What a run says, to a tracker: as it says it, or after its end. The run knows nothing of it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

from gemmalocal.errors import GemmalocalError
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Finished, Report, Stage
from gemmalocal.jobs.processes import Job
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.background import Stopped, in_background
from gemmalocal.records import Tell
from gemmalocal.tracking.sent import Sent, items
from gemmalocal.tracking.tracker import TrackedRun, Tracker, TrackerFailed, explained, flat, opened
from gemmalocal.workspace import reports

LOOK = 1.0  # seconds between two looks at the run
PATIENCE = 180.0  # seconds without an answer, once the run has ended: a busy machine takes one to import mlflow
DIES = 10.0  # seconds until a process ends in which the tracker never came back
AT_ONCE = 200  # items that a tracker is given


class Watch:
    """One run and one tracker: what is told, and since when there is no answer."""

    def __init__(self, run: Path, name: str, folder: Path, patience: float = PATIENCE) -> None:
        self.run, self.name, self.folder, self.patience = run, name, folder, patience
        self.look, self.told = "", 0
        self._job, self._answered = Job(run), time.monotonic()

    def tell(self, progress: Tell) -> None:
        """Tell the tracker all, until the run ends, or until `progress` raises `Stopped`."""
        run = _tracked(self.run, self.folder)
        self._job = Job(self.run)
        tracker = opened(self.name, run)
        self.look, self._answered = tracker.look, time.monotonic()
        sent, lines = Sent.read(self.folder, run.id, tracker.place, tracker.fresh), list[str]()
        status = "live"
        try:
            skipped = sent.lines
            while True:
                alive = self._job.alive or reports.busy(self.run)  # asked before the read: else the end could be missed
                lines = self._job.lines()
                self._send(tracker, sent, lines[skipped:], run, progress)
                skipped = max(0, skipped - len(lines))
                if not alive:
                    break
                progress("items told", self.told, max(1, self.told))
                time.sleep(LOOK)
            self._send_report(tracker, sent)
            status = history.read(self.run).status
        finally:
            with explained(self.name):
                tracker.close(status)

    def _send(self, tracker: Tracker, sent: Sent, lines: list[str], run: TrackedRun, progress: Tell) -> None:
        """New lines' items; what is sent is written down as it is."""
        new = sent.new(items(lines, list((run.config.get("samples") or {}).get("prompts") or [])))
        for first in range(0, len(new), AT_ONCE):
            progress("items told", self.told, self.told + len(new))
            with explained(self.name):
                tracker.log(new[first : first + AT_ONCE])
            self.told += len(new[first : first + AT_ONCE])
            self._answered = time.monotonic()
        if lines:
            sent.lines += len(lines)
            sent.write(self.folder)
        self._answered = time.monotonic()

    def _send_report(self, tracker: Tracker, sent: Sent) -> None:
        """The newest report's figures as a table, once."""
        figures = reports.figures(self.run)
        rows = [[key, value] for key, value in flat(figures or {}).items() if isinstance(value, str | int | float)]
        digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
        if rows and digest != sent.table:
            with explained(self.name):
                tracker.table("report", ["figure", "value"], rows)
            sent.table = digest
            sent.write(self.folder)

    @property
    def live(self) -> bool:
        """Whether the run lives."""
        return self._job.alive

    def overdue(self) -> bool:
        """Whether the run has ended, and the tracker has not answered for long; asked while `tell` works."""
        silent = time.monotonic() - self._answered > self.patience
        return silent and not self._job.alive and not reports.busy(self.run)


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """`spec`: run (its folder), tracker (its name), patience (seconds without an answer), if not the usual."""
    watch = Watch(Path(spec["run"]), spec["tracker"], directory, spec.get("patience", PATIENCE))
    yield Stage(f"telling {watch.name} of {watch.run.name}")

    def asked() -> list[dict[str, Any]]:
        if watch.overdue():  # its thread is left where it is
            _end_at_all_costs()
            hint = f"The run itself is whole. Later: gemmalocal track {watch.run.name} --to {watch.name}"
            raise TrackerFailed(f"{watch.name} did not answer for {watch.patience:.0f} s.", hint)
        return commands()

    try:
        yield from in_background(watch.tell, asked, final=True)
        while watch.live:  # it goes on: whoever began that found us still here
            yield from in_background(watch.tell, asked, final=True)
    except Stopped:
        yield Finished("stopped", f"{watch.told} items told; the same command goes on")
        return
    yield Report({"run": watch.run.name, "tracker": watch.name, "items": watch.told, "look": watch.look})
    yield Finished("done")


def _end_at_all_costs() -> None:
    """A library that waits for its server may also wait when Python ends."""
    timer = Timer(DIES, os._exit, [GemmalocalError.code])
    timer.daemon = True
    timer.start()


def _tracked(run: Path, folder: Path) -> TrackedRun:
    """The id is made of the first line that the run ever said: it outlives a new name, which another run may take."""
    with (run / "events.jsonl").open("rb") as events:
        mark = hashlib.sha256(events.readline()).hexdigest()[:8]
    run_id = Sent.known_id(folder)
    run_id = run_id if run_id.endswith(f"-{mark}") else f"{run.name}-{mark}"
    return TrackedRun(run.name, run_id, history.spec(run), folder)
