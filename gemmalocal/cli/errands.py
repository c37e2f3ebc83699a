"""doctor and bench: short jobs whose answer is a report."""

from __future__ import annotations

import shutil
from typing import Any

import click

from gemmalocal.cli.follow import follow
from gemmalocal.cli.narrate import Narrator
from gemmalocal.cli.say import say, say_json
from gemmalocal.files import paths, staging
from gemmalocal.jobs import processes
from gemmalocal.jobs.events import Event, Finished, Report
from gemmalocal.planning import hardware

SHOWN = 8  # of what was left


def run(kind: str, spec: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Run an errand in a child process: its exit code, and its report."""
    job = processes.errand(kind, spec)
    try:
        return report(job)
    finally:
        shutil.rmtree(job.directory, ignore_errors=True)


def report(job: processes.Job) -> tuple[int, dict[str, Any]]:
    """Follow a job whose answer is a report: its exit code, and the report."""
    narrator, reports = Narrator(), list[dict[str, Any]]()

    def tell(event: Event) -> None:
        if isinstance(event, Report):
            reports.append(event.data)
        elif not isinstance(event, Finished) or event.message:
            narrator(event)

    try:
        code = follow(job, tell)
    finally:
        narrator.close()
    return code, reports[-1] if reports else {}


@click.command()
@click.option("--clean", is_flag=True, help="Remove what killed processes left, and put back what they were replacing.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
def doctor(clean: bool, as_json: bool) -> int:
    """Say what this machine has, and what is missing.

    It also says what killed processes left in the workspace.
    """
    if clean:
        _clean()
    here = hardware.probe()
    code, report = run("doctor", {})
    findings = {"machine": here, **report, "workspace": str(paths.workspace()), "left": left()}
    if as_json:
        say_json(findings)
        return code
    say(f"machine    {here['chip']}, {here['cores']} cores, {here['memory'] / 2**30:.0f} GB ({here['system']})")
    say(f"workspace  {findings['workspace']}")
    for name, engine in findings.get("engines", {}).items():
        if "missing" in engine:
            say(f"{name:<10} missing: {engine['missing']}")
            continue
        rate = f"{engine['gflops']:.0f} GFLOP/s in {engine['dtype']}"
        say(f"{name:<10} {engine['device']}, BLAS {engine['blas']}, {rate}")
        if engine.get("why"):
            say(f"           trains in {engine['dtype']}: {engine['why']}")
        if engine.get("hint"):
            say(f"           slow: {engine['hint']}")
    _say_left(findings["left"])
    return code


def left() -> list[dict[str, Any]]:
    """What killed processes left in the workspace: paths in it, and their bytes."""
    found = [aside.path for aside in staging.below(paths.workspace()) if aside.abandoned]
    home = paths.workspace()
    return [
        {"path": str(path.relative_to(home)), "bytes": staging.tree_bytes(path)}
        for path in sorted({*found, *processes.dead_errands()})
    ]


def _clean() -> None:
    staging.sweep(paths.workspace())
    for folder in processes.dead_errands():
        processes.settle_errand(folder)


def _say_left(found: list[dict[str, Any]]) -> None:
    if not found:
        return
    total = sum(one["bytes"] for one in found)
    say(f"left over  {total / 1e6:,.1f} MB by processes that were killed; gone at their next start, or: doctor --clean")
    for one in found[:SHOWN]:
        say(f"           {one['path']}  {one['bytes'] / 1e6:,.1f} MB")
    if len(found) > SHOWN:
        say(f"           {len(found) - SHOWN} more")


COMMANDS = (doctor,)
