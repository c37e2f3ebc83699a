"""doctor: what this machine has, what is missing, and what killed processes left."""

from __future__ import annotations

from typing import Any

import click

from gemmalocal.cli.output import say, say_json
from gemmalocal.cli.report_jobs import run_for_report
from gemmalocal.files import paths, staging
from gemmalocal.files.sizes import gigabytes, size
from gemmalocal.jobs import processes
from gemmalocal.planning import hardware

SHOWN = 8  # entries at most, of what was left


@click.command()
@click.option("--clean", is_flag=True, help="Remove what killed processes left, and put back what they were replacing.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
def doctor(clean: bool, as_json: bool) -> int:
    """Say what this machine has, and what is missing.

    It also says what killed processes left in the workspace.
    """
    if clean:
        remove_left()
    here = hardware.probe()
    code, report = run_for_report("doctor", {})
    findings = {"machine": here, **report, "workspace": str(paths.workspace()), "left": left()}
    if as_json:
        say_json(findings)
        return code
    say(f"machine    {here['chip']}, {here['cores']} cores, {gigabytes(here['memory'], 0)} GB ({here['system']})")
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
    home = paths.workspace()
    abandoned = {aside.path for aside in staging.below(home) if aside.abandoned}
    return [
        {"path": str(path.relative_to(home)), "bytes": staging.tree_bytes(path)}
        for path in sorted(abandoned | set(processes.dead_errands()))
    ]


def remove_left() -> None:
    """Remove what killed processes left, and put back what they were replacing."""
    staging.sweep(paths.workspace())
    for folder in processes.dead_errands():
        processes.settle_errand(folder)


def _say_left(entries: list[dict[str, Any]]) -> None:
    if not entries:
        return
    total = sum(entry["bytes"] for entry in entries)
    say(f"left over  {size(total)} by processes that were killed. To remove it: gemmalocal doctor --clean")
    for entry in entries[:SHOWN]:
        say(f"           {entry['path']}  {size(entry['bytes'])}")
    if len(entries) > SHOWN:
        say(f"           {len(entries) - SHOWN} more")


COMMANDS = (doctor,)
