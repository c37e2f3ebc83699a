"""Reports as front ends handle them: begin one, and what the newest says of a run.

A run's own report lies in `report/` of its folder. One of an export, or against another run, lies in a place of its own
in `reports/`, and the word that stands for the run is not taken from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gemmalocal.errors import GemmalocalError, JobBusy
from gemmalocal.files import safe_read
from gemmalocal.jobs import history, processes

FOLDER, OTHERS = "report", "reports"  # in the run's
FIGURES, MEASURED, JUDGED = "report.json", "measured.jsonl", "judged.jsonl"
PAGES = {"md": "report.md", "html": "report.html"}
ENDING = "Stopping; what was measured is kept. Ctrl-C again to force it."  # said to who stops a report
HURTS = 3  # the exit code of a report on a run that made things worse
VERDICTS = (
    "helps",
    "no difference",
    "hurts",
    "helps but forgets",
    "no difference but forgets",
    "hurts and forgets",
)
COPIED = 2.0  # seconds by which a file that was copied may be older than one copied before it
BASE = "base"  # whom a run is held against where no other run is named


@dataclass(frozen=True)
class Judge:
    """Who says which answer is better: a model (as in a recipe) or a server's address, with what that needs."""

    name: str
    model: str | None = None
    key_env: str | None = None

    @property
    def is_server(self) -> bool:
        """Whether it is asked by HTTP."""
        return self.name.startswith(("http://", "https://"))


@dataclass(frozen=True)
class Wish:
    """What a report is to be of: how many held-out `rows` (None: the usual number), and when an answer is right.

    `against` is another run or "base" (None: the run that it started from, if there is one, else the base), `form` the
    label of an export, `whole` all neutral texts.
    """

    rows: int | None = None
    metric: str | None = None
    against: str | None = None
    form: str | None = None
    judge: Judge | None = None
    whole: bool = False

    @classmethod
    def of(cls, spec: dict[str, Any]) -> Wish:
        """The one that a job's spec holds; those of older versions know less."""
        judge = spec.get("judge")
        names = ("rows", "metric", "against", "form")
        wish = {name: spec.get(name) for name in names}
        return cls(**wish, judge=Judge(**judge) if judge else None, whole=bool(spec.get("whole")))


def place(run: Path, wish: Wish) -> Path:
    """The folder of such a report on a run; `form` in it is the export's whole label."""
    parts = [wish.form] if wish.form else []
    parts += [f"against-{Path(wish.against).name}"] if wish.against else []
    return run / OTHERS / "-".join(parts) if parts else run / FOLDER


def start(run: Path, wish: Wish | None = None) -> processes.Job:
    """Start a report on a run, or go on with it; the job reads from where its events stand now. Raises `JobBusy`."""
    wish = wish or Wish()
    old = processes.Job(place(run, wish))
    if old.directory.is_dir() and old.alive:
        raise JobBusy(f"The report on {run.name} is being made already.", "Wait until it is there, or stop it.")
    old.skip()
    job = processes.start(old.directory, "report", spec([run], wish))
    job.skip_to(old)
    return job


def under_way(run: Path, wish: Wish) -> processes.Job | None:
    """The same report, if it is being made now, as a job to look on at from the beginning of this attempt."""
    job = processes.Job(place(run, wish))
    with suppress(GemmalocalError):
        if job.directory.is_dir() and job.alive and Wish.of(history.spec(job.directory)) == wish:
            job.skip_to_attempt()
            return job
    return None


def begun(run: Path) -> processes.Job:
    """The newest report on a run as a job to look on at."""
    return processes.Job(run / FOLDER)


def compare(runs: Sequence[Path], rows: int | None = None) -> processes.Job:
    """Start the comparison of several runs on the rows of the first, in a folder that the caller removes."""
    return processes.errand("report", spec(runs, Wish(rows)))


def spec(runs: Sequence[Path], wish: Wish | None = None) -> dict[str, Any]:
    """What the job of a report is told."""
    return {"runs": [str(run.absolute()) for run in runs], **asdict(wish or Wish())}


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
    return any(processes.Job(folder).alive for folder in (run / FOLDER, *(run / OTHERS).glob("[!.]*")))


def made_at(run: Path) -> float:
    """When the newest report was written, in seconds since the epoch; 0 if there is none."""
    return safe_read.changed(run / FOLDER / FIGURES)
