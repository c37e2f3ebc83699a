"""What may not run beside a training run on the same GPU."""

from __future__ import annotations

import sys

from gemmalocal.errors import JobBusy
from gemmalocal.jobs import history
from gemmalocal.jobs.processes import Job


def make_way(what: str) -> None:
    """Raise `JobBusy` where a run is training and `what` (a chat) must not be beside it."""
    if busy := training(sys.platform):
        raise JobBusy(
            f"{busy} is training, and on a Mac {what} beside it can bring the system down (mlx#3186).",
            f"Wait until it has ended, or stop it: gemmalocal stop {busy}",
        )


def training(platform: str) -> str | None:
    """The name of a run that is training now, on a platform where nothing may run beside it; None elsewhere."""
    if platform != "darwin":
        return None
    return next((folder.name for folder in history.list_runs() if Job(folder).alive), None)
