"""Short jobs whose answer is a report: run one, or follow one, and give back its exit code and report."""

from __future__ import annotations

import shutil
from typing import Any

from gemmalocal.cli.event_printer import EventPrinter
from gemmalocal.cli.follow import ENDING, follow
from gemmalocal.jobs import processes
from gemmalocal.jobs.events import Event, Finished, Report


def run_for_report(kind: str, spec: dict[str, Any], secret: str = "") -> tuple[int, dict[str, Any]]:
    """Run an errand in a child process: its exit code, and its report; a `secret` is handed over unwritten."""
    job = processes.errand(kind, spec, secret)
    try:
        return follow_for_report(job)
    finally:
        shutil.rmtree(job.directory, ignore_errors=True)


def follow_for_report(job: processes.Job, ending: str = ENDING, stoppable: bool = True) -> tuple[int, dict[str, Any]]:
    """Follow a job whose answer is a report: its exit code, and the report.

    `ending` is said to the first Ctrl-C, which asks it to stop; it only looks away from one that is not `stoppable`.
    """
    printer, reports = EventPrinter(), list[dict[str, Any]]()

    def tell(event: Event) -> None:
        if isinstance(event, Report):
            reports.append(event.data)
        elif not isinstance(event, Finished) or event.message:
            printer(event)

    try:
        code = follow(job, tell, stoppable=stoppable, ending=ending)
    finally:
        printer.close()
    return code, reports[-1] if reports else {}
