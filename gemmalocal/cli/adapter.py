"""adapter: a trained adapter for another program."""

from __future__ import annotations

import os
from pathlib import Path

import click

from gemmalocal.cli import completion
from gemmalocal.cli.output import note, say, say_json
from gemmalocal.cli.report_jobs import run_for_report
from gemmalocal.errors import UsageFault
from gemmalocal.files import paths, safe_read, targets
from gemmalocal.jobs import history

CONFIG = "adapter_config.json"


@click.command()
@click.argument("source", shell_complete=completion.runs_or_files)
@click.argument("target", type=click.Path())
@click.option("--to", type=click.Choice(["mlx-lm", "peft"]), required=True, help="The layout to write.")
@click.option(
    "--model",
    shell_complete=completion.models,
    help="The model that it was trained on, if the adapter does not name it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was made as one JSON object.")
def adapter(source: str, target: str, to: str, model: str | None, as_json: bool) -> int:
    """Write an adapter in the form that mlx-lm or PEFT reads.

    SOURCE is a run, or a folder with an adapter. TARGET is the new folder. A run's own adapter is in PEFT's layout.
    `mlx_lm.generate --adapter-path` reads mlx-lm's.
    """
    spec = {
        "source": str(_folder(source)),
        "target": str(targets.checked_target(target, targets.empty)),
        "to": to,
        "model": model,
    }
    code, report = run_for_report("adapter", spec)
    if report and as_json:
        say_json(report)
    elif report:
        say(report["path"])
        if to == "mlx-lm":
            note(f"mlx_lm.generate --model {report['folder']} --adapter-path {report['path']}")
    return code


def _folder(source: str) -> Path:
    """The adapter of a run, or a folder; raises `GemmalocalError` if there is neither."""
    own, folder = paths.runs() / source / "adapter", paths.expanded(source).absolute()
    for place in (own, folder):
        if safe_read.is_file(place / CONFIG):
            return place
    if folder.parts and os.path.isdir(folder) and not safe_read.is_file(folder / "job.json"):
        raise UsageFault(f"{source} holds no adapter.", f"An adapter is a folder with {CONFIG}; or give a run.")
    run = history.find_run(source)
    whole = (run / "model").is_dir()
    raise UsageFault(
        f"{run.name} has made {'a whole model, and no adapter' if whole else 'no adapter yet'}.",
        f"Export it with: gemmalocal export {run.name} --to merged" if whole else "Train it first.",
    )


COMMANDS = (adapter,)
