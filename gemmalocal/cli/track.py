"""track: a run, live or ended, to the programs that people compare runs with."""

from __future__ import annotations

from typing import Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.output import page, say, say_json
from gemmalocal.cli.report_jobs import follow_for_report
from gemmalocal.jobs import history
from gemmalocal.workspace import trackings

ENDING = "Stopping; what was told is kept. Ctrl-C again to force it."


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option(
    "--to",
    "names",
    type=click.Choice(trackings.NAMES),
    multiple=True,
    required=True,
    help="The tracker. May be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was told as JSON, an object for each tracker.")
def track(run: str, names: tuple[str, ...], as_json: bool) -> int:
    """Show a run in TensorBoard, Weights & Biases, Trackio or MLflow.

    RUN is its name. One that is live is followed to its end. What was told before is not told again.

    Nothing leaves this machine unless you have set it so: WANDB_MODE is offline if it is not set, and MLflow and
    Trackio write into databases here. `track: [tensorboard]` in a recipe, or GEMMALOCAL_TRACK=tensorboard, does the
    same beside each run.
    """
    folder = history.find_run(run)
    jobs = [trackings.start(folder, name) for name in dict.fromkeys(names)]
    codes = []
    for job in jobs:
        code, report = follow_for_report(job, ENDING)
        codes.append(code)
        if report:
            say_json(report) if as_json else say(page(table(report)))
    return max(codes)


def table(report: dict[str, Any]) -> list[str]:
    """What was told, and how to see it."""
    return [f"{report['tracker']}: {report['items']:,} new of {report['run']}", report["look"]]


COMMANDS = (track,)
