"""The one poller: looks at job directories of one kind, off the event loop, and says how each job is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import safe_read
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Unknown
from gemmalocal.jobs.history import JobState
from gemmalocal.jobs.processes import Job
from gemmalocal.workspace import labels, reports
from gemmalocal.workspace.labels import Labels
from gemmalocal.workspace.runs import Run

AT_ONCE = 1_000_000  # bytes of events that are read in one look, so that a long list is there at once
GLANCE = 2048  # bytes at the end of a run's events, which tell how it stands


class Watcher:
    """Remembers what it has read. `look` is for one thread at a time; `adopt` and `add` may be called from any.

    `listed` gives the folders that it looks at: runs, or preparations.
    """

    def __init__(self, listed: Callable[[], list[Path]] = history.list_runs) -> None:
        self._listed = listed
        self._runs: dict[Path, _Tracker] = {}
        self._adopted: deque[Job] = deque()
        self._elsewhere: deque[Path] = deque()

    def adopt(self, job: Job) -> None:
        """A job that this process started: its exit code will be known."""
        self._adopted.append(job)

    def add(self, folder: Path) -> None:
        """A job's folder that may not be listed, as it is not in the workspace."""
        self._elsewhere.append(folder)

    def look(self) -> list[Run]:
        """All jobs, live ones first, then the newest; the same objects as last time where nothing is new.

        Of jobs that were not read yet the newest are read, so many as have `AT_ONCE` bytes, the others by a glance.
        """
        while self._adopted:
            job = self._adopted.popleft()
            self._runs.setdefault(job.directory, _Tracker(job.directory)).take(job)
        folders = dict.fromkeys([*self._folders(), *(folder for folder in list(self._elsewhere) if folder.is_dir())])
        self._runs = {folder: self._runs.get(folder) or _Tracker(folder) for folder in folders}
        return sorted(self._look(), key=lambda run: (run.state.status != "live", -run.at))

    def _look(self) -> Iterator[Run]:
        left = AT_ONCE
        for tracker in self._runs.values():
            unread = 0 if tracker.was_read else tracker.unread
            run = tracker.look() if left > 0 or tracker.was_read else tracker.glance()
            left -= unread * tracker.was_read
            if run is not None:
                yield run

    def _folders(self) -> list[Path]:
        try:
            return self._listed()
        except OSError:  # one was deleted while they were listed
            return []


class _Tracker:
    """One run's directory, read on from where it was left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._inode = 0
        self._reset()

    def _reset(self) -> None:
        self._job, self._state, self._last = Job(self._folder), JobState(), None

    _last: Run | None
    _version: tuple[int, int, int] | None = None
    _told: tuple[float, float] = 0.0, 0.0  # when the newest report was written, and what a person says of it
    _damage_and_spec: tuple[str, dict[str, Any]] = "", {}

    def take(self, job: Job) -> None:
        """Ask this job, which knows its process, from now on."""
        job.skip_to(self._job)
        self._job = job

    @property
    def was_read(self) -> bool:
        """Whether all that it had said at some time was read."""
        return self._last is not None and self._last.whole

    @property
    def unread(self) -> int:
        """Bytes of events that wait to be read."""
        return self._job.unread

    def look(self) -> Run | None:
        """The run now; None if its folder is going away."""
        inode, at = self._written()
        if self._inode and inode != self._inode:  # deleted, and begun anew by the same name
            self._reset()
        self._inode = inode
        try:
            alive = self._job.alive  # asked before the last read
            stopping = alive and self._job.asked_to_stop
            events_since = self._job.poll()
            damage, spec = self._read_spec()
            told, self._told = self._told, (reports.made_at(self._folder), labels.changed_at(self._folder))
            if (
                self._last is not None
                and self._last.whole
                and not events_since
                and told == self._told
                and (alive, damage) == (self._last.state.alive, self._last.state.damage)
                and stopping == self._last.stopping
            ):
                return self._last
            for event in events_since:
                history.fold(self._state, event)
            self._state.alive, self._state.damage = alive, damage
            self._last = self._run(_copy(self._state), spec, stopping, at)
        except OSError:
            return None
        return self._last

    def glance(self) -> Run | None:
        """The run by the end of what it has said; read after all where that tells nothing; None as for `look`."""
        if self._last is not None:
            return self._last
        state = JobState(attempt=1)
        try:
            alive = self._job.alive  # asked before its events are read, or one that ends meanwhile would look killed
            events = [event for event in self._job.newest(GLANCE) if not isinstance(event, Unknown)]
            if not events:
                return self.look()
            for event in events:
                history.fold(state, event)
            state.alive = alive
            state.damage, spec = self._read_spec()
            self._told = reports.made_at(self._folder), labels.changed_at(self._folder)
            stopping = state.alive and self._job.asked_to_stop
            self._last = replace(self._run(state, spec, stopping, self._written()[1]), whole=False)
        except OSError:
            return None
        return self._last

    def _written(self) -> tuple[int, float]:
        """The inode of its events, and when they last changed; 0 for both where there are none."""
        try:
            events = (self._folder / "events.jsonl").stat()
        except OSError:
            return 0, 0.0
        return events.st_ino, events.st_mtime

    def _run(self, state: JobState, spec: dict[str, Any], stopping: bool, at: float) -> Run:
        killed = state.status == "killed"
        trouble = history.death(self._job) if killed else history.trouble(self._folder, state)
        verdict = reports.verdict(self._folder) if self._told[0] else ""
        said = labels.read(self._folder) if self._told[1] else Labels()
        at = at or safe_read.changed(self._folder / "job.json")
        return Run(self._folder, spec, state, trouble, at, verdict, stopping, said)

    def _read_spec(self) -> tuple[str, dict[str, Any]]:
        """Why it does not say what it is, and what it was asked; read again where the file has changed."""
        try:
            job = (self._folder / "job.json").stat()
            version = job.st_ino, job.st_mtime_ns, job.st_size
        except OSError:
            version = None
        if version is None or version != self._version:
            self._version = version
            try:
                self._damage_and_spec = "", history.spec(self._folder)
            except GemmalocalError as error:
                self._damage_and_spec = error.message, {}
        return self._damage_and_spec


def _copy(state: JobState) -> JobState:
    """What no later event changes."""
    return replace(
        state,
        steps=list(state.steps),
        evaluations=list(state.evaluations),
        samples=list(state.samples),
        trials=list(state.trials),
        tried=list(state.tried),
        skipped=list(state.skipped),
        rollbacks=list(state.rollbacks),
        notices=list(state.notices),
    )
