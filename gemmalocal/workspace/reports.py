"""Reports as front ends handle them: begin one, and what the newest says of a run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gemmalocal.errors import GemmalocalError, JobBusy
from gemmalocal.files import safe_read
from gemmalocal.jobs import history, processes

FOLDER = "report"  # in the run's
FIGURES, MEASURED = "report.json", "measured.jsonl"
PAGES = {"md": "report.md", "html": "report.html"}
ENDING = "Stopping; what was measured is kept. Ctrl-C again to force it."  # said to who stops a report
HURTS = 3  # the exit code of a report on a run that made things worse
VERDICTS = ("helps", "no difference", "hurts", "helps but forgets")
COPIED = 2.0  # seconds by which a file that was copied may be older than one copied before it


def start(run: Path, rows: int | None = None, metric: str | None = None) -> processes.Job:
    """Start a report on a run, or go on with it; the job reads from where its events stand now. Raises `JobBusy`."""
    old = processes.Job(run / FOLDER)
    if old.directory.is_dir() and old.alive:
        raise JobBusy(f"The report on {run.name} is being made already.", "Wait until it is there, or stop it.")
    old.skip()
    job = processes.start(old.directory, "report", spec([run], rows, metric))
    job.skip_to(old)
    return job


def begun(run: Path) -> processes.Job:
    """The newest report on a run as a job to look on at."""
    return processes.Job(run / FOLDER)


def compare(runs: Sequence[Path], rows: int | None = None) -> processes.Job:
    """Start the comparison of several runs on the rows of the first, in a folder that the caller removes."""
    return processes.errand("report", spec(runs, rows))


def spec(runs: Sequence[Path], rows: int | None = None, metric: str | None = None) -> dict[str, Any]:
    """What the job of a report is told."""
    return {"runs": [str(run.absolute()) for run in runs], "rows": rows, "metric": metric}


def figures(run: Path) -> dict[str, Any] | None:
    """What the newest report says; None if there is none, or the run has made something else since."""
    file = run / FOLDER / FIGURES
    with suppress(GemmalocalError):
        content = safe_read.json_object(file)
        made = max(map(safe_read.changed, safe_read.entries(history.result(run))), default=0.0)
        if content.get("verdict") in VERDICTS and made <= safe_read.changed(file) + COPIED:
            return content
    return None


def verdict(run: Path) -> str:
    """The verdict in a word or three; empty if nothing was reported."""
    return str((figures(run) or {}).get("verdict", ""))


def busy(run: Path) -> bool:
    """Whether a report on the run is being made."""
    return processes.Job(run / FOLDER).alive


def made_at(run: Path) -> float:
    """When the newest report was written, in seconds since the epoch; 0 if there is none."""
    return safe_read.changed(run / FOLDER / FIGURES)
