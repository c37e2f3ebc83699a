"""prepare, accept and convert: documents become rows that a person can trust, and take elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gemmalocal import datasets, paths, preparing, targets
from gemmalocal.cli import errands
from gemmalocal.cli.say import say, say_json, styled
from gemmalocal.cli.training import DETACH, JSON, look_on
from gemmalocal.errors import RecipeError
from gemmalocal.terminal import printable

if TYPE_CHECKING:  # pydantic is only loaded when a preparation is described
    from gemmalocal.preparation import Preparation

FORMS = ("chat", "sharegpt", "alpaca", "prompt", "text", "parquet", "hub")


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--to", metavar="DATASET", help="A name in the workspace, or a folder (./NAME); of a .yaml file its own name."
)
@click.option("--task", type=click.Choice(["qa", "cot", "summary", "rewrite", "text"]), help="qa if not given.")
@click.option("--author", type=click.Choice(["model", "rules"]), help="rules: no model is asked.")
@click.option("--model", help="The author, as in a recipe; its tokens are what passages are measured in.")
@click.option("--endpoint", metavar="URL", help="Ask a server that speaks OpenAI's protocol instead.")
@click.option("--endpoint-model", metavar="NAME", help="The model there; the first that it lists if not given.")
@click.option("--key-env", metavar="NAME", help="The environment variable that holds the server's key.")
@click.option("--concurrency", type=int, help="Requests at once.")
@click.option("--timeout", type=float, help="Seconds of silence after which a request is given up.")
@click.option("--prompts", metavar="DIR", help="A folder with own prompts: qa.j2, cot.j2, judge.j2, ...")
@click.option("--pairs", type=int, help="Rows to make of a passage.")
@click.option("--passage-tokens", type=int, help="The most tokens of a passage.")
@click.option("--temperature", type=float, help="How freely the author speaks.")
@click.option("--answer-tokens", type=int, help="The longest that the author may speak at a time.")
@click.option("--attempts", type=int, help="How often a passage is asked about, the mistake told each time.")
@click.option("--judge", is_flag=True, default=None, help="Let the author score each row from 1 to 10.")
@click.option("--threshold", type=int, help="The lowest score that the judge lets pass.")
@click.option("--balance", type=float, help="Rows a file may give, in medians of all files.")
@click.option("--held-out", type=float, help="Share of the documents held out.")
@click.option("--near-copies", type=click.Choice(["drop", "keep"]), help="Passages that nearly repeat others.")
@click.option("--max-documents", type=int, help="Stop reading after so many documents.")
@click.option("--password", help="Of encrypted documents; it is not written down.")
@click.option("--seed", type=int)
@JSON
@DETACH
def prepare(
    sources: tuple[str, ...], to: str | None, password: str | None, as_json: bool, detach: bool, **options: Any
) -> int:
    """Make a dataset of documents (or, with --task rewrite, of rows): questions and answers with their evidence.

    Answers are kept as they come: interrupted or killed, the same command goes on, and a second run costs nothing.
    Some documents are held out. What was rejected is in rejected.jsonl with its reason; see: gemmalocal accept.

    SOURCE may be one .yaml file instead that holds these options, and the sources, as keys; options go before it.
    """
    file = Path(sources[0]) if len(sources) == 1 and sources[0].lower().endswith((".yaml", ".yml")) else None
    if to is None and file is None:
        raise click.UsageError("Name the dataset: --to DATASET.")
    wanted = _wanted(sources, file, options)
    return look_on(preparing.begin(to or (file.stem if file else ""), wanted, password), as_json, detach)


def _wanted(sources: tuple[str, ...], file: Path | None, options: dict[str, Any]) -> Preparation:
    """The preparation that a file and options describe; raises `RecipeError` with all problems."""
    from gemmalocal import recipe_file
    from gemmalocal.preparation import Preparation

    if options["threshold"] is not None and not (options["judge"] or file):
        raise RecipeError("--threshold goes with --judge.")
    there = {"url": options.pop("endpoint"), "model": options.pop("endpoint_model")}
    there |= {name: options.pop(name) for name in ("key_env", "concurrency", "timeout")}
    given = {name: value for name, value in options.items() if value is not None}
    there = {name: value for name, value in there.items() if value is not None}
    if there and "url" not in there and not file:
        raise RecipeError(f"--{next(iter(there)).replace('_', '-')} goes with --endpoint.")
    tree = {**given, **({"endpoint": there} if there else {})}
    if file:
        return recipe_file.load_preparation(file, tree)
    tree["sources"] = list(sources)
    wanted, problems = recipe_file.from_tree(tree, Preparation)
    if wanted is None:
        raise RecipeError("\n  ".join(["The options do not fit:", *(f"{key}: {why}" for key, why in problems.items())]))
    return wanted


@click.command()
@click.argument("dataset")
@click.argument("rows", nargs=-1, type=int, metavar="N...")
def accept(dataset: str, rows: tuple[int, ...]) -> None:
    """Take rejected rows of DATASET, by their line in rejected.jsonl, into it; without N, list them with reasons.

    They are remembered: when the dataset is made again they come along.
    """
    folder = datasets.find(dataset)
    if rows:
        chosen = datasets.lines(folder / datasets.REJECTED, rows)
        datasets.accept(folder, chosen)
        for row in chosen:
            say(_said(row))
        return
    for number, row in datasets.numbered(folder / datasets.REJECTED).items():
        say(f"{number:>5}  ", styled(row["reason"], fg="yellow"), f"\n       {_said(row)}")


def _said(row: dict[str, Any]) -> str:
    """A row on a line."""
    text = " → ".join(turn["content"] for turn in row["messages"]) if "messages" in row else row["text"]
    return printable(" ".join(text.split()))[:300]


@click.command()
@click.argument("dataset")
@click.option("--to", "form", type=click.Choice(FORMS), required=True, help="The form; hub: a folder with a card.")
@click.option("--out", metavar="FOLDER", help="Where to; DATASET-FORM where you stand if not given.")
@click.option("--json", "as_json", is_flag=True, help="What was written, as one JSON object.")
def convert(dataset: str, form: str, out: str | None, as_json: bool) -> int:
    """Write DATASET (a prepared one, or any rows, as in a recipe) as chat, ShareGPT, Alpaca, ... for other programs."""
    prepared = (paths.datasets() / dataset / datasets.TRAIN).is_file()  # before a folder that is called so too
    elsewhere = ":" in dataset or (os.path.exists(dataset) and not prepared)
    path = preparing.whole(dataset) if elsewhere else str(datasets.find(dataset))
    name = os.path.basename(dataset.rstrip("/")) or "dataset"
    target = str(targets.wanted(f"{name.replace(':', '-')}-{form}" if out is None else out, targets.empty))
    code, report = errands.run("convert", {"path": path, "form": form, "out": target, "name": name})
    if report:
        say_json(report) if as_json else say(report["path"])
    return code


COMMANDS = (prepare, accept, convert)
