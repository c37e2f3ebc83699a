"""check and doctor: short jobs whose answer is a report."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click

from gemmalocal import jobs, machine, paths
from gemmalocal.cli.follow import follow
from gemmalocal.cli.narrate import Narrator
from gemmalocal.events import Event, Finished, Report

SLOW = 20  # GFLOP/s; a reference BLAS reaches 2, OpenBLAS on two cores over 100


def run(kind: str, spec: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Run an errand in a child process: its exit code, and its report."""
    paths.errands().mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=paths.errands()))
    narrator, reports = Narrator(), list[dict[str, Any]]()

    def tell(event: Event) -> None:
        if isinstance(event, Report):
            reports.append(event.data)
        elif not isinstance(event, Finished) or event.message:
            narrator(event)

    try:
        code = follow(jobs.start(folder, kind, spec), tell)
    finally:
        narrator.close()
        shutil.rmtree(folder, ignore_errors=True)
    return code, reports[-1] if reports else {}


@click.command()
@click.argument("recipe")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one key, such as data.path=x.jsonl."
)
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
def check(recipe: str, overrides: tuple[str, ...], as_json: bool) -> int:
    """Say what RECIPE would train on, without loading the weights.

    Problems of the rows, token counts, and three rows with their supervised tokens in colour (and underlined).
    """
    from gemmalocal import recipe_file

    code, report = run("check", recipe_file.load(recipe, overrides).model_dump(mode="json"))
    if as_json and report:
        click.echo(json.dumps(report, ensure_ascii=False))
    elif report:
        _show_check(report)
    return code


def _show_check(report: dict[str, Any]) -> None:
    click.echo(f"model {report['model']}, shape {report['shape']}, {report['steps']} steps")
    memory = report["memory"]
    parts = ", ".join(f"{name} {memory[name] / 1e9:.2f}" for name in ("weights", "activations", "head", "adapter"))
    click.echo(f"memory    {memory['total'] / 1e9:.1f} of {memory['machine'] / 1e9:.1f} GB at the peak ({parts})")
    for side in ("train", "held_out"):
        numbers = report[side]
        click.echo(
            f"{side.replace('_', '-'):<9}{numbers['rows']:>7} rows {numbers['tokens']:>9} tokens, "
            f"{numbers['supervised_tokens']} supervised; lengths: median {numbers['length_median']}, "
            f"95 % {numbers['length_p95']}, longest {numbers['length_max']}"
        )
    for source, reason in report["rejected"]:
        click.echo(f"left out: {source}: the row {reason}")
    for row in report["rows"]:
        click.echo(f"\n{row['source']}")
        click.echo("".join(_piece(text, supervised) for text, supervised in row["pieces"]))


def _piece(text: str, supervised: bool) -> str:
    shown = text.replace("\n", "⏎\n")
    return click.style(shown, fg="green", underline=True) if supervised else click.style(shown, dim=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The findings as one JSON object.")
def doctor(as_json: bool) -> int:
    """Say what this machine has, and what is missing."""
    here = machine.probe()
    code, report = run("doctor", {})
    findings = {"machine": here, **report, "workspace": str(paths.workspace())}
    if as_json:
        click.echo(json.dumps(findings))
        return code
    click.echo(f"machine    {here['chip']}, {here['cores']} cores, {here['memory'] / 2**30:.0f} GB ({here['system']})")
    click.echo(f"workspace  {findings['workspace']}")
    for name, engine in findings.get("engines", {}).items():
        if "missing" in engine:
            click.echo(f"{name:<10} missing: {engine['missing']}")
            continue
        click.echo(f"{name:<10} {engine['device']}, BLAS {engine['blas']}, {engine['gflops']:.0f} GFLOP/s in float32")
        if engine["blas"] == "none" or engine["gflops"] < SLOW:
            click.echo(
                "           slow: OpenBLAS is missing. Debian, Ubuntu: sudo apt-get install libopenblas0-pthread"
            )
    return code


COMMANDS = (check, doctor)
