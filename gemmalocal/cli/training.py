"""train and resume."""

from __future__ import annotations

from pathlib import Path

import click

from gemmalocal import history, jobs, runs
from gemmalocal.cli.follow import follow
from gemmalocal.cli.narrate import Narrator

SET = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one key, such as train.steps=50."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Copy the events to stdout, one JSON object a line.")
DETACH = click.option("--detach", is_flag=True, help="Leave the job running and return at once.")


@click.command()
@click.argument("recipe")
@SET
@click.option("--name", help="The run's name; the recipe's and a number if not given.")
@JSON
@DETACH
def train(recipe: str, overrides: tuple[str, ...], name: str | None, as_json: bool, detach: bool) -> int:
    """Train by RECIPE, a file or the name of a shipped one.

    The run goes on when the terminal closes; Ctrl-C asks it to stop and save, a second Ctrl-C forces it.
    """
    from gemmalocal import recipe_file

    job = runs.begin(recipe_file.load(recipe, overrides), name, Path(recipe).stem)
    return _look_on(job, as_json, detach)


@click.command()
@click.argument("run")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help=f"Change {' or '.join(runs.CHANGEABLE)}: less memory.",
)
@JSON
@DETACH
def resume(run: str, overrides: tuple[str, ...], as_json: bool, detach: bool) -> int:
    """Go on with RUN from its newest checkpoint, as if it had never been interrupted."""
    return _look_on(runs.resume(history.find_run(run), overrides), as_json, detach)


def _look_on(job: jobs.Job, as_json: bool, detach: bool) -> int:
    if detach:
        click.echo(job.directory)
        return 0
    narrator = Narrator()
    try:
        code = follow(job, narrator, as_json)
    finally:
        narrator.close()
    if not as_json:
        click.echo(job.directory)
    return code


COMMANDS = (train, resume)
