"""adapter: a trained adapter for another program."""

from __future__ import annotations

from pathlib import Path

import click

from gemmalocal import paths, targets
from gemmalocal.cli import errands
from gemmalocal.cli.say import note, say, say_json


@click.command()
@click.argument("source")
@click.argument("target", type=click.Path())
@click.option("--to", type=click.Choice(["mlx-lm", "peft"]), required=True, help="mlx-lm's layout, or PEFT's.")
@click.option("--model", help="The model it was trained on, if the adapter does not name it.")
@click.option("--json", "as_json", is_flag=True, help="What was made, as one JSON object.")
def adapter(source: str, target: str, to: str, model: str | None, as_json: bool) -> int:
    """Write the adapter SOURCE (a run, or a folder) into the new folder TARGET, in mlx-lm's layout or in PEFT's.

    A run's own adapter is in PEFT's. `mlx_lm.generate --adapter-path` reads mlx-lm's.
    """
    run = paths.runs() / source / "adapter"
    folder = run if run.is_dir() else Path(source).expanduser().absolute()
    spec = {"source": str(folder), "target": str(targets.wanted(target, targets.empty)), "to": to, "model": model}
    code, report = errands.run("adapter", spec)
    if report and as_json:
        say_json(report)
    elif report:
        say(report["path"])
        if to == "mlx-lm":
            note(f"mlx_lm.generate --model {report['folder']} --adapter-path {report['path']}")
    return code


COMMANDS = (adapter,)
