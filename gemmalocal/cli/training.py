"""train and resume."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from gemmalocal import atomic, history, jobs, launcher, paths
from gemmalocal.cli.follow import follow
from gemmalocal.cli.narrate import Narrator
from gemmalocal.errors import KILLED, GemmalocalError, RecipeError

if TYPE_CHECKING:  # pydantic is only loaded when a recipe is read
    from gemmalocal.recipe import Recipe

SET = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one key, such as train.steps=50."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Copy the events to stdout, one JSON object a line.")
DETACH = click.option("--detach", is_flag=True, help="Leave the job running and return at once.")

CHANGEABLE = ("train.micro_batch", "train.checkpointing")


@click.command()
@click.argument("recipe")
@SET
@click.option("--name", help="The run's name; the recipe's and a number if not given.")
@JSON
@DETACH
def train(recipe: str, overrides: tuple[str, ...], name: str | None, as_json: bool, detach: bool) -> int:
    """Train by RECIPE, a file or the name of a shipped one.

    The run goes on when the terminal closes; Ctrl-C asks it to stop and save, a second Ctrl-C forces it.

    Under `mlx.launch -n 2 ...` or `torchrun --nproc-per-node 2 ...`, with --name, the processes share each step.
    """
    from gemmalocal import recipe_file

    loaded = recipe_file.load(recipe, overrides)
    spec = loaded.model_dump(mode="json")
    _follow_if_launched(paths.runs() / _checked(name) if name else None, spec, detach)
    folder = _new(name or _next_name(Path(recipe).stem))
    job = jobs.start(folder, "train", spec)
    _keep(loaded, folder)
    return look_on(job, as_json, detach)


@click.command()
@click.argument("run")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help=f"Change {' or '.join(CHANGEABLE)}: less memory."
)
@JSON
@DETACH
def resume(run: str, overrides: tuple[str, ...], as_json: bool, detach: bool) -> int:
    """Go on with RUN from its newest checkpoint, or with a dataset, as if it had never been interrupted."""
    folder = history.find_run(run)
    state = history.read(folder)
    if state.kind == "train" and state.status in ("done", "early"):
        result = history.result(folder)
        raise GemmalocalError(f"{folder.name} has finished already.", f"Its {result.name}: {result}")
    changed = _changed(folder, overrides)
    _follow_if_launched(folder, history.spec(folder), detach, state.kind)
    old = jobs.Job(folder)
    old.skip()
    job = jobs.start(folder, state.kind, changed.model_dump(mode="json") if changed else history.spec(folder))
    job.skip_to(old)
    if changed:
        _keep(changed, folder)
    return look_on(job, as_json, detach)


def _changed(folder: Path, overrides: tuple[str, ...]) -> Recipe | None:
    """A run's recipe with what may change in its midst: how much memory it takes, not what it learns."""
    for item in overrides:
        if (key := item.partition("=")[0].strip()) not in CHANGEABLE:
            raise RecipeError(f"{key} cannot change in the midst of a run.", f"Only {' and '.join(CHANGEABLE)} can.")
    if not overrides:
        return None
    from gemmalocal import recipe_file

    return recipe_file.load(str(folder / "recipe.yaml"), overrides)


def _keep(recipe: Recipe, folder: Path) -> None:
    from gemmalocal import recipe_file

    atomic.write_text(folder / "recipe.yaml", recipe_file.dump(recipe))


def _follow_if_launched(folder: Path | None, spec: dict[str, Any], detach: bool, kind: str = "train") -> None:
    """One process of a launcher's comes back to start the job in `folder`; the others follow it and do not."""
    launched = launcher.found()
    if launched is None:
        return
    if folder is None:
        raise RecipeError(f"{launched.by} starts several processes; their run needs a name.", "Give --name.")
    if detach:
        raise RecipeError(f"{launched.by} looks after its processes until they end.", "Leave --detach out.")
    if kind != "train":
        raise RecipeError("Only a training is shared by several processes.", f"Do it without {launched.by}.")
    if launched.rank:
        jobs.follow(folder, kind, spec)


def look_on(job: jobs.Job, as_json: bool, detach: bool) -> int:
    """Tell a job until it ends, or leave it; its directory goes to stdout."""
    if detach:
        click.echo(job.directory)
        return 0
    if launcher.found():
        _end_with(job)
    narrator = Narrator()
    try:
        code = follow(job, narrator, as_json)
    finally:
        narrator.close()
    if not as_json:
        click.echo(job.directory)
    return code


def _end_with(job: jobs.Job) -> None:
    """When the launcher ends this process (SIGTERM), because another has died, the job ends too."""

    def end(*_: object) -> NoReturn:
        job.kill()
        sys.exit(KILLED)

    signal.signal(signal.SIGTERM, end)


def _checked(name: str) -> str:
    if not re.fullmatch(r"[\w][\w.-]*", name):
        raise RecipeError(f"'{name}' cannot be a run's name.", "Use letters, digits, '-', '_' and '.'.")
    return name


def _new(name: str) -> Path:
    folder = paths.runs() / _checked(name)
    if (folder / "events.jsonl").exists():
        raise RecipeError(f"There is a run '{name}' already.", f"Give --name, or: gemmalocal resume {name}")
    return folder


def _next_name(stem: str) -> str:
    stem = re.sub(r"[^\w.-]", "-", stem)
    number = 1
    while (paths.runs() / f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"


COMMANDS = (train, resume)
