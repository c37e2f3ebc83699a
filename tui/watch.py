"""The one poller: looks at job directories of one kind, off the event loop, and says how each job is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gemmalocal.files import safe_read
from gemmalocal.jobs import history
from gemmalocal.jobs.history import JobState
from gemmalocal.jobs.processes import Job
from gemmalocal.workspace import labels, reports
from gemmalocal.workspace.labels import Labels
from gemmalocal.workspace.runs import Run


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
        """All jobs, live ones first, then the newest; the same objects as last time where nothing is new."""
        while self._adopted:
            job = self._adopted.popleft()
            self._runs.setdefault(job.directory, _Tracker(job.directory)).take(job)
        folders = dict.fromkeys([*self._folders(), *(folder for folder in list(self._elsewhere) if folder.is_dir())])
        self._runs = {folder: self._runs.get(folder) or _Tracker(folder) for folder in folders}
        runs = [run for tracker in self._runs.values() if (run := tracker.look()) is not None]
        return sorted(runs, key=lambda run: (run.state.status != "live", -run.at))

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

    def look(self) -> Run | None:
        """The run now; None if its folder is going away."""
        try:
            events = (self._folder / "events.jsonl").stat()
            inode, at = events.st_ino, events.st_mtime
        except OSError:
            inode, at = 0, 0.0
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
                and not events_since
                and told == self._told
                and (alive, damage) == (self._last.state.alive, self._last.state.damage)
                and stopping == self._last.stopping
            ):
                return self._last
            for event in events_since:
                history.fold(self._state, event)
            self._state.alive, self._state.damage = alive, damage
            trouble = history.trouble(self._folder, self._state)
            if self._state.status == "killed":
                trouble = history.death(self._job)
            at = at or safe_read.changed(self._folder / "job.json")
            verdict = reports.verdict(self._folder) if self._told[0] else ""
            said = labels.read(self._folder) if self._told[1] else Labels()
            self._last = Run(self._folder, spec, _copy(self._state), trouble, at, verdict, stopping, said)
        except OSError:
            return None
        return self._last

    def _read_spec(self) -> tuple[str, dict[str, Any]]:
        """Why it does not say what it is, and what it was asked; read again where the file has changed."""
        try:
            job = (self._folder / "job.json").stat()
            version = job.st_ino, job.st_mtime_ns, job.st_size
        except OSError:
            version = None
        if version is None or version != self._version:
            self._version = version
            self._damage_and_spec = history.damage(self._folder), history.known_spec(self._folder)
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
