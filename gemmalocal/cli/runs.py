"""runs, watch, stop and log: looking at job directories."""

from __future__ import annotations

import io
from collections import deque
from pathlib import Path
from typing import Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.event_printer import EventPrinter
from gemmalocal.cli.follow import follow
from gemmalocal.cli.output import note, say, say_json
from gemmalocal.errors import GemmalocalError
from gemmalocal.files import safe_read
from gemmalocal.jobs import history, holder
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.jobs.processes import Job
from gemmalocal.jobs.terminal_text import on_line
from gemmalocal.workspace import reports

NAME, WHY = 64, 400  # cells at most

DEATH = 10.0  # seconds in which a process that was killed must be gone


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print each run as one JSON object.")
def runs(as_json: bool) -> None:
    """List the runs, the newest first."""
    rows = [summary(folder) for folder in history.list_runs()]
    if as_json:
        for row in rows:
            say_json(row)
        return
    if not rows:
        note("No runs yet. Start one with: gemmalocal train quotes")
    for row in rows:
        loss = f"held-out {loss_text(row['held_out'])}" if row["held_out"] is not None else ""
        marks = [f"{row[counter]} {counter}" for counter in ("skipped", "rollbacks") if row[counter]]
        figures = "  ".join(filter(None, [loss, *marks, row["verdict"]]))
        say(f"{on_line(row['name'], NAME):<24} {row['status']:<8} step {row['step']}/{row['steps']:<6} {figures}")
        if row["why"]:
            say(f"  {on_line(row['why'], WHY)}")


def summary(folder: Path) -> dict[str, Any]:
    """What `runs` says of one run."""
    state = history.read(folder)
    trouble = history.trouble(folder, state)
    last = state.steps[-1] if state.steps else None
    return {
        "name": folder.name,
        "status": state.status,
        "step": last.step if last else 0,
        "steps": last.steps if last else 0,
        "held_out": state.best.loss if state.best else None,
        "skipped": len(state.skipped),
        "rollbacks": len(state.rollbacks),
        "verdict": reports.verdict(folder),
        "why": f"{trouble.message} {trouble.hint}".strip() if trouble else "",
        "path": str(folder),
    }


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option("--json", "as_json", is_flag=True, help="Print the events, one JSON object a line.")
def watch(run: str, as_json: bool) -> int:
    """Watch a run, from its beginning to its end.

    RUN is its name. Ctrl-C stops the watching, and the run goes on.
    """
    printer = EventPrinter()
    try:
        return follow(Job(history.find_run(run)), printer, as_json, stoppable=False)
    finally:
        printer.close()


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option("--force", is_flag=True, help="End it at once. What came after the last checkpoint is lost.")
def stop(run: str, force: bool) -> None:
    """Ask a run to finish its step, save, and end.

    RUN is its name. Go on with it later: gemmalocal resume RUN
    """
    job = Job(history.find_run(run))
    if not job.alive:
        raise GemmalocalError(f"{job.directory.name} is not running.", "How each run stands: gemmalocal runs")
    if force:
        _force(job)
    else:
        job.ask(do="stop")
        note(f"{job.directory.name} will stop after this step and save.")


def _force(job: Job) -> None:
    """Kill a job, and say what came of it; raises `GemmalocalError` if it lives on."""
    name = job.directory.name
    job.kill(by_person=True)
    if not job.ended(DEATH):
        alive = ", ".join(map(str, holder.holders(job.directory / "lock"))) or "unknown"
        raise GemmalocalError(
            f"{name} could not be killed: it still runs (process {alive}).",
            "A process that waits for a disk ends later. Look again with: gemmalocal runs",
        )
    state = history.read(job.directory)
    if state.status != "killed":
        note(f"{name} had already ended by itself: {state.status}.")
        return
    kept = f"its newest checkpoint is of step {state.saved.step}" if state.saved else "it had saved no checkpoint"
    note(f"{name} was killed; {kept}." if state.kind == "train" else f"{name} was killed.")


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option("--lines", "-n", default=200, show_default=True, help="How many of the last lines to print.")
def log(run: str, lines: int) -> None:
    """Print what a run and its libraries wrote.

    RUN is its name. Its end often says why a run failed.
    """
    path = history.find_run(run) / "log.txt"
    with io.TextIOWrapper(safe_read.regular(path), "utf-8", "replace") as file:
        for line in deque(file, maxlen=lines):
            say(line.rstrip("\n"))


COMMANDS = (runs, watch, stop, log)
