"""score: a teacher reads rows once, for all runs that learn from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.output import note, say, say_json
from gemmalocal.cli.report_jobs import run_for_report
from gemmalocal.errors import RecipeError
from gemmalocal.files.sizes import size
from gemmalocal.jobs.plurals import plural
from gemmalocal.workspace import preparations, runs


@click.command()
@click.argument("source", metavar="DATASET|RECIPE", shell_complete=completion.recipes)
@click.option("--teacher", metavar="MODEL|RUN", help="Who reads. If left out: the recipe's teacher.model.")
@click.option("--keep", type=int, help="How many of its likeliest ids are kept for each token. If left out: 32.")
@click.option("--temperature", type=float, help="What its logits are divided by. If left out: 1.")
@click.option(
    "--quantize", type=click.Choice(["none", "4bit", "8bit"]), help="Quantize its weights when they are loaded."
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=completion.keys,
    help="Change one key of the recipe, such as data.max_length=512.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what came out as one JSON object.")
def score(source: str, teacher: str | None, overrides: tuple[str, ...], as_json: bool, **settings: Any) -> int:
    """Let a teacher read rows, and keep what it says.

    A recipe with a teacher does this by itself before it trains. What was read once is known to every later run with
    the same teacher and rows.

    DATASET is a dataset that was prepared, or a file of rows; RECIPE a recipe. The teacher is a model, or a run.

    What a teacher says lies in the workspace, in teachers/. Ctrl-C stops it; the same command goes on.
    """
    code, report = run_for_report("score", _spec(source, teacher, settings, overrides))
    if report and "folder" in report:
        say_json(report) if as_json else say("\n".join(_lines(report)))
    return code


def _spec(source: str, teacher: str | None, settings: dict[str, Any], overrides: tuple[str, ...]) -> dict[str, Any]:
    """The recipe of a source; of rows alone one whose model is the teacher's own. Raises `RecipeError`."""
    from gemmalocal.recipe import recipe_file
    from gemmalocal.recipe.overrides import apply
    from gemmalocal.recipe.schema import Recipe

    given = {name: value for name, value in {"model": teacher, **settings}.items() if value is not None}
    items = [*(f"teacher.{name}={value}" for name, value in given.items()), *overrides]
    if source in recipe_file.builtin_recipes() or source.endswith((".yaml", ".yml")):
        return recipe_file.load(source, items, note).model_dump(mode="json")
    if teacher is None:
        raise RecipeError("Rows alone name no teacher.", "Give --teacher MODEL, or a RUN.")
    tree = {"model": runs.base_of(teacher), "data": {"path": preparations.rows_path(source)}, "train": {"epochs": 1}}
    problems, _ = apply(tree, items, Recipe)
    if problems:
        raise RecipeError("\n  ".join(problems), "gemmalocal score --help")
    return recipe_file.changed(tree, {}).model_dump(mode="json")


def _lines(report: dict[str, Any]) -> Iterator[str]:
    """What came out, for a person."""
    rows, tokens = (f"{report[name]:,} {plural(report[name], name.removesuffix('s'))}" for name in ("rows", "tokens"))
    yield f"{report['teacher']} has read {rows}, and {tokens} are kept ({size(report['bytes'])})"
    yield (
        f"its likeliest word is the row's own in {100 * report['right']:.0f} % of them; it gives its likeliest "
        f"{100 * report['sure']:.0f} % on average"
    )


COMMANDS = (score,)
