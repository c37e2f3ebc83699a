"""Trackers as front ends handle them: which there are, what each needs, and the job that tells one of a run.

It lies in `tracking/NAME` of the run's folder, a process of its own: one that hangs or fails costs the run nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import util
from pathlib import Path

from gemmalocal.errors import BackendUnavailable, GemmalocalError, JobBusy, UsageFault
from gemmalocal.jobs import processes

JOBS, VARIABLE = "tracking", "GEMMALOCAL_TRACK"
PACKAGES = {  # that each tracker needs; its extra has its name
    "tensorboard": ("tensorboard",),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
    "mlflow": ("mlflow", "sqlalchemy"),
}
NAMES = tuple(PACKAGES)


def start(run: Path, name: str) -> processes.Job:
    """Start telling a tracker of a run, live or ended; the job reads from where its events stand now.

    Raises `BackendUnavailable` for one that is not installed, `JobBusy` for one that is being told already.
    """
    check(name)
    old = processes.Job(run / JOBS / name)
    if old.directory.is_dir() and old.alive:
        raise JobBusy(f"{name} is being told of {run.name} already.", "It goes on until the run ends.")
    old.skip()
    job = processes.start(old.directory, "track", {"run": str(run.absolute()), "tracker": name})
    job.skip_to(old)
    return job


def check(name: str) -> None:
    """Raise `UsageFault` for what is no tracker, and `BackendUnavailable` for one that is not installed."""
    if name not in NAMES:
        raise UsageFault(f"There is no tracker '{name}'.", f"Take one of {', '.join(NAMES)}.")
    if not all(map(util.find_spec, PACKAGES[name])):
        raise BackendUnavailable(f"{name} is not installed.", f"pip install 'gemmalocal[{name}]'")


def start_beside(run: Path, wished: Sequence[str]) -> Iterator[str]:
    """Start the trackers that a live run's recipe and the environment wish for; what a person must know of them."""
    named = [name for name in re.split(r"[,\s]+", os.environ.get(VARIABLE, "")) if name]
    for name in dict.fromkeys([*wished, *named]):
        try:
            with suppress(JobBusy):  # it was told of the attempt before, and looks on
                start(run, name)
            yield f"{name} is told of this run as it goes on"
        except (GemmalocalError, OSError) as error:
            said = f"{error.message} {error.hint}" if isinstance(error, GemmalocalError) else str(error)
            yield f"not told to {name}: {said}"
