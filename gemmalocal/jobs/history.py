"""A job directory as history: events folded into a state, and the list of runs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gemmalocal.errors import FAILED, GemmalocalError, UnknownRun, WorkKilled
from gemmalocal.files import paths, safe_read, system_errors
from gemmalocal.jobs import exit_causes
from gemmalocal.jobs.event_lines import decode
from gemmalocal.jobs.events import (
    Evaluated,
    Event,
    Failed,
    Finished,
    Notice,
    Progress,
    Report,
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
from gemmalocal.jobs.processes import Job


@dataclass
class JobState:
    """What is known of a job; `fold` is the only one to change it."""

    kind: str = ""
    attempt: int = 0
    stage: str = ""
    progress: Progress | None = None
    steps: list[Step] = field(default_factory=list)
    evaluations: list[Evaluated] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)  # steps of a search's, one trial after the other
    tried: list[Tried] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)  # as they happened: never taken back, like the roll-backs
    rollbacks: list[Rollback] = field(default_factory=list)
    saved: Saved | None = None
    plan: dict[str, Any] = field(default_factory=dict)  # the memory that was expected, in bytes
    notices: list[str] = field(default_factory=list)
    last_word: Finished | Failed | None = None
    alive: bool = False
    damage: str = ""  # why it cannot be said what this job is

    @property
    def status(self) -> str:
        """live, done, stopped, early, strained, failed, killed, empty or damaged."""
        if self.alive:
            return "live"
        if self.damage:
            return "damaged"
        if isinstance(self.last_word, Failed):
            return "failed"
        if isinstance(self.last_word, Finished):
            return self.last_word.outcome
        return "killed" if self.attempt else "empty"

    @property
    def best(self) -> Evaluated | None:
        """The evaluation with the lowest held-out loss."""
        return min(self.evaluations, key=lambda evaluation: evaluation.loss, default=None)


def fold(state: JobState, event: Event) -> JobState:
    """Take in one event. A new attempt, or a roll-back, takes back what lies beyond the step it goes on from."""
    match event:
        case Started():
            state.kind, state.attempt, state.last_word = event.kind, event.attempt, None
            _take_back(state, event.step if event.step else -1)  # a run from step 0 looks at the untrained model again
            ended = {(trial.rung, trial.trial) for trial in state.tried}
            state.trials = [trial for trial in state.trials if (trial.rung, trial.trial) in ended]
        case Stage():
            state.stage, state.progress = event.name, None
        case Progress():
            state.progress = event
        case Report():
            plan = event.data.get("plan")
            state.plan = plan if isinstance(plan, dict) else state.plan
        case Notice():
            state.notices.append(event.text)
        case Step():
            state.steps.append(event)
        case Skipped():
            state.skipped.append(event)
        case Rollback():
            _take_back(state, event.to)
            state.rollbacks.append(event)
        case Evaluated():
            state.evaluations.append(event)
        case Sample():
            state.samples.append(event)
        case Trial():
            state.trials.append(event)
        case Tried():
            state.tried.append(event)
        case Saved():
            state.saved = event
        case Finished() | Failed():
            state.last_word = event
    return state


def _take_back(state: JobState, step: int) -> None:
    state.steps = [item for item in state.steps if item.step <= step]
    state.evaluations = [item for item in state.evaluations if item.step <= step]
    state.samples = [item for item in state.samples if item.step <= step]


def read(directory: Path) -> JobState:
    """The state of a job directory now."""
    state = JobState(damage=damage(directory))
    alive = Job(directory).alive  # asked before the last read
    for event in Job(directory).poll():
        fold(state, event)
    state.alive = alive
    return state


def damage(directory: Path) -> str:
    """Why a job's directory does not say what the job is; empty if it does."""
    try:
        _job(directory)
    except GemmalocalError as error:
        return error.message
    return ""


def death(job: Job) -> GemmalocalError:
    """Why a job that was killed died, as far as its log, its disk and, for a child of ours, its exit code tell."""
    if job.killed_by_person:
        return WorkKilled(*exit_causes.BY_PERSON)
    if full := system_errors.lack_of_room(job.directory):  # then it could not leave a last word
        return full
    log = job.log_tail()
    if job.exit_code in (None, FAILED) and (fault := system_errors.passed_on(log.strip().rpartition("\n")[2])):
        return fault
    cause = exit_causes.explain(log, job.exit_code)
    if exit_causes.LESS_MEMORY in cause.hint and kind(job.directory) != "train":  # it has no such settings
        return type(cause)(cause.message, exit_causes.AGAIN)
    return cause


def trouble(directory: Path, state: JobState) -> GemmalocalError | None:
    """Why a job did not come to a good end, and what to do; None if it did, or lives."""
    match state.status, state.last_word:
        case "damaged", _:
            return GemmalocalError(state.damage, f"Look at {directory}, and delete it if it is of no use.")
        case "failed", Failed() as last:
            return GemmalocalError(last.message, last.hint)
        case "strained", Finished() as last:
            return GemmalocalError(last.message)
        case "killed", _:
            return death(Job(directory))
    return None


def list_runs() -> list[Path]:
    """The folders of all runs, newest first."""
    return list_jobs(paths.runs())


def list_jobs(place: Path) -> list[Path]:
    """The jobs in a folder, newest first, damaged ones too; never raises."""
    folders = [folder for folder in safe_read.entries(place) if _is_job(folder)]
    return sorted(folders, key=lambda folder: safe_read.changed(folder / "job.json"), reverse=True)


def _is_job(folder: Path) -> bool:
    """Whether a job's directory is here, be it whole or not: anything but a folder of something else."""
    if not os.path.isdir(folder):
        return True
    try:
        return any(name in ("job.json", "events.jsonl") for name in os.listdir(folder))
    except OSError:
        return True


def find_run(name: str) -> Path:
    """The folder of a run, or of a dataset that was prepared, by its name or path; raises `UnknownRun`."""
    for folder in (paths.runs() / name, paths.datasets() / name, Path(name)) if name.strip() else ():
        if safe_read.is_file(folder / "job.json") or safe_read.is_file(folder / "events.jsonl"):
            return folder
    known = ", ".join(folder.name for folder in list_runs()[:8]) or "none yet"
    raise UnknownRun(f"There is no run '{name if len(name) <= 60 else name[:60] + '...'}'.", f"Known runs: {known}.")


def result(directory: Path) -> Path:
    """The folder of what a run made: a model if all weights were trained, else an adapter."""
    return directory / ("model" if (directory / "model").is_dir() else "adapter")


def spec(directory: Path) -> dict[str, Any]:
    """What a job was asked to do; raises `GemmalocalError` for a damaged one."""
    return _job(directory)[1]


def known_spec(directory: Path) -> dict[str, Any]:
    """The same for a list: nothing of a damaged one."""
    try:
        return spec(directory)
    except GemmalocalError:
        return {}


def word(spec: dict[str, Any], *keys: str) -> str:
    """A text out of a spec, by its nested keys; "?" where there is none."""
    value: Any = spec
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) and value else "?"


def kind(directory: Path) -> str:
    """What sort of job it is: train, prepare and so on; raises `GemmalocalError` for a damaged one."""
    return _job(directory)[0]


def _job(directory: Path) -> tuple[str, dict[str, Any]]:
    """Kind and spec."""
    if not os.path.isdir(directory):
        dangling = os.path.islink(directory)
        problem = "is a link that leads nowhere" if dangling else "is not a folder"
        raise GemmalocalError(f"{directory} {problem}.", "Remove it, or put back what was there.")
    match safe_read.json_object(directory / "job.json"):
        case {"kind": str() as kind, "spec": dict() as spec}:
            return kind, spec
    raise GemmalocalError(f"{directory / 'job.json'} is damaged: it does not say what the job is.", safe_read.HINT)


def attempts(directory: Path) -> int:
    """How many processes have worked on a job so far."""
    lines = Job(directory).lines()
    return sum(isinstance(decode(line), Started) for line in lines if '"started"' in line)
