"""tune: spend a given time well. It tries settings on short runs, and trains by the best for the rest."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.output import note
from gemmalocal.cli.training import DETACH, JSON, SET, follow_if_launched, print_until_end
from gemmalocal.errors import RecipeError
from gemmalocal.files import paths, safe_read
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.jobs.terminal_text import printable
from gemmalocal.workspace import runs

CURVE = 0.6  # of the time, where it is spent on a learning curve
MOST = 16  # trials of what --over names, where --trials does not say


@click.command()
@click.argument("recipe", shell_complete=completion.recipes)
@click.option("--minutes", type=float, metavar="N", help="How long it may take, the search and the training together.")
@click.option(
    "--over",
    multiple=True,
    metavar="KEY=V,V",
    help="Try these values of a key, such as lora.rank=8,32. If left out: four learning rates.",
)
@click.option(
    "--learning-curve", is_flag=True, help="Try a quarter, a half and all of the rows, to see whether more would help."
)
@click.option("--trials", type=click.IntRange(2), metavar="N", help="How many settings are tried at most.")
@SET
@click.option("--name", help="A name for the run. If left out: the recipe's name and a number.")
@JSON
@DETACH
def tune(
    recipe: str,
    minutes: float | None,
    over: tuple[str, ...],
    trials: int | None,
    learning_curve: bool,
    overrides: tuple[str, ...],
    name: str | None,
    as_json: bool,
    detach: bool,
) -> int:
    """Try settings on short runs, and train by the best.

    RECIPE is a file, or the name of a recipe that comes along, such as quotes.

    Each trial trains anew for a few steps, down to a rate of nearly 0. The better half goes on, twice as long. The best
    one trains for what is left of the time, and is a run like any other. Rows that no report uses decide.

    --over takes method, all of lora, the numbers of objective, and of train what changes how it learns: the rate,
    schedule, warmup, batch, optimizer, seed, prompt_weight. Other keys are refused, with what to do instead.

    Without --minutes the run has the recipe's steps, and the search takes two fifths as many before.
    """
    from gemmalocal.recipe import recipe_file, search

    if learning_curve and (over or trials):
        raise RecipeError("--learning-curve tries rows, not settings.", "Leave --over and --trials out.")
    items = [f"search.trials={trials or _trials(over)}", f"search.over={json.dumps(list(over))}"]
    if learning_curve:
        items = ["search.trials=0", "search.over=[]", "search.learning_curve=true", f"search.share={CURVE}"]
    items += [f"train.minutes={minutes:g}"] if minutes is not None else []
    loaded = recipe_file.load(recipe, [*overrides, *items], note)
    search.candidates(loaded)  # what cannot be tried is said before anything begins
    follow_if_launched(paths.runs() / runs.checked(name) if name else None, loaded.model_dump(mode="json"), detach)
    job = runs.begin(loaded, name, Path(recipe).stem)
    code = print_until_end(job, as_json, detach)
    if not as_json and not detach:
        _show(job.directory)
    return code


def _trials(over: tuple[str, ...]) -> int:
    """As many as there are of what is named, up to `MOST`; what is wrong with it is said where it is read."""
    from gemmalocal.recipe import search_spec

    try:
        counts = [len(search_spec.axis(text)[1]) for text in over]
    except ValueError:
        return search_spec.TRIALS
    return min(MOST, max(2, prod(counts))) if over else search_spec.TRIALS


def _show(run: Path) -> None:
    """The search's table, once it has ended."""
    if safe_read.is_file(run / "search.json"):
        known: dict[str, Any] = safe_read.json_object(run / "search.json")
        for row in known.get("table", []):
            note(printable(line(row)))
        note(f"The search: {run / 'search.md'}")


def line(row: dict[str, Any]) -> str:
    """One trial, for a terminal: its losses by rung, and how far it is behind the best."""
    losses = " -> ".join("diverged" if loss is None else loss_text(loss, 4) for loss in row["losses"])
    behind = "chosen" if row["chosen"] else ""
    if row["behind"]:
        value, low, high = row["behind"]
        behind = f"{value:+.4f} ({low:+.4f} to {high:+.4f})"
    return f"  {row['trial']:<32} {losses:<20} {behind}".rstrip()


COMMANDS = (tune,)
