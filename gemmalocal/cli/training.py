"""train and resume."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from gemmalocal.cli import completion
from gemmalocal.cli.event_printer import EventPrinter
from gemmalocal.cli.follow import follow
from gemmalocal.cli.output import note, say
from gemmalocal.cli.report_jobs import follow_for_report
from gemmalocal.errors import KILLED, RecipeError
from gemmalocal.files import paths
from gemmalocal.jobs import history, launcher, processes
from gemmalocal.workspace import reports, runs

SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=completion.keys,
    help="Change one key of the recipe, such as train.steps=50.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the events, one JSON object a line.")
DETACH = click.option("--detach", is_flag=True, help="Leave it running, and come back at once.")


@click.command()
@click.argument("recipe", shell_complete=completion.recipes)
@SET
@click.option("--name", help="A name for the run. If left out: the recipe's name and a number.")
@JSON
@DETACH
def train(recipe: str, overrides: tuple[str, ...], name: str | None, as_json: bool, detach: bool) -> int:
    """Train a model by a recipe.

    RECIPE is a file, or the name of a recipe that comes along, such as quotes.

    The run goes on when the terminal closes. Ctrl-C asks it to stop and save. A second Ctrl-C ends it at once.

    Several processes can share each step: start it with `mlx.launch -n 2` or `torchrun --nproc-per-node 2` in front,
    and give it a --name.
    """
    from gemmalocal.recipe import recipe_file

    loaded = recipe_file.load(recipe, overrides, note)
    follow_if_launched(paths.runs() / runs.checked(name) if name else None, loaded.model_dump(mode="json"), detach)
    return print_until_end(runs.begin(loaded, name, Path(recipe).stem), as_json, detach)


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=completion.keys,
    help=f"Change one key. For less memory: {', '.join(runs.MEMORY)}. For more steps, also of a run that is done: "
    f"{', '.join(runs.LONGER)}.",
)
@JSON
@DETACH
def resume(run: str, overrides: tuple[str, ...], as_json: bool, detach: bool) -> int:
    """Go on with a run, or a dataset, that ended too soon.

    RUN is its name. It goes on from its newest checkpoint, and ends as if nothing had come in between.
    """
    folder = history.find_run(run)
    follow_if_launched(folder, history.spec(folder), detach, history.kind(folder))
    return print_until_end(runs.resume(folder, overrides), as_json, detach)


def follow_if_launched(folder: Path | None, spec: dict[str, Any], detach: bool, kind: str = "train") -> None:
    """One process of a launcher's comes back to start the job in `folder`; the others follow it and do not."""
    launched = launcher.launched()
    if launched is None:
        return
    if folder is None:
        raise RecipeError(f"{launched.by} starts several processes, and their run needs a name.", "Give --name.")
    if detach:
        raise RecipeError(f"{launched.by} looks after its processes until they end.", "Leave --detach out.")
    if kind != "train":
        raise RecipeError("Only training can be shared by several processes.", f"Do it without {launched.by}.")
    if launched.rank:
        processes.follow(folder, kind, spec)


def print_until_end(job: processes.Job, as_json: bool, detach: bool) -> int:
    """Tell a job until it ends, or leave it; its directory goes to stdout."""
    if detach:
        say(str(job.directory))
        return 0
    if launcher.launched():
        _end_with(job)
    printer = EventPrinter()
    try:
        code = follow(job, printer, as_json)
    finally:
        printer.close()
    if not as_json:
        say(str(job.directory))
        if code == 0:
            _offer_report(job.directory)
    return code


def _offer_report(run: Path) -> None:
    """After a run that has ended: the report that it began, or how to get one."""
    if history.kind(run) != "train" or history.read(run).status not in ("done", "early"):
        return
    if not history.spec(run).get("train", {}).get("report"):
        note(f"Did it help? gemmalocal report {run.name}")
        return
    _, figures = follow_for_report(reports.begun(run), reports.ENDING)
    if figures:
        say(figures["sentence"])


def _end_with(job: processes.Job) -> None:
    """When the launcher ends this process (SIGTERM), because another has died, the job ends too."""

    def end(*_: object) -> NoReturn:
        job.kill()
        sys.exit(KILLED)

    signal.signal(signal.SIGTERM, end)


COMMANDS = (train, resume)
