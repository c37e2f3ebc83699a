"""prepare, accept and convert: documents become rows that a person can trust, and take elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.output import say, say_json, styled
from gemmalocal.cli.report_jobs import run_for_report
from gemmalocal.cli.training import DETACH, JSON, print_until_end
from gemmalocal.errors import RecipeError
from gemmalocal.files import targets
from gemmalocal.jobs.processes import Job
from gemmalocal.jobs.terminal_text import printable
from gemmalocal.workspace import dataset_rows, datasets, preparations, votes

if TYPE_CHECKING:  # pydantic is only loaded when a preparation is described
    from gemmalocal.recipe.prepare_schema import Preparation

FORMS = ("chat", "sharegpt", "alpaca", "prompt", "text", "parquet", "hub")


@click.command()
@click.argument("sources", nargs=-1, shell_complete=completion.files, metavar="SOURCE...")
@click.option(
    "--votes",
    "voted",
    is_flag=True,
    help="Make rows of what was voted for in chats. SOURCE is a chat; without one, all are read.",
)
@click.option(
    "--to", metavar="DATASET", help="The dataset's name, or a folder (./NAME). A .yaml file gives it its own name."
)
@click.option(
    "--task",
    type=click.Choice(["qa", "cot", "summary", "rewrite", "text", "pairs", "answers"]),
    help="What to make: questions and answers (qa, the default), the same with reasoning (cot), summaries, "
    "other words for the questions of rows (rewrite), or plain text. pairs: two answers to each prompt of rows, of "
    "which one is better. answers: what a teacher (--model) answers to each prompt of rows.",
)
@click.option("--tries", type=int, help="With --task answers: how often a prompt is answered. The best is kept.")
@click.option("--run", metavar="RUN", shell_complete=completion.runs, help="With --task pairs: the run that answers.")
@click.option(
    "--answers",
    type=click.Choice(["twice", "base"]),
    help="With --task pairs: compare two answers of the run (twice, the default), or the base model's and the run's.",
)
@click.option("--author", type=click.Choice(["model", "rules"]), help="Who writes the rows. Rules need no model.")
@click.option(
    "--model",
    shell_complete=completion.models,
    help="The model that writes, as in a recipe. Passages are measured in its tokens.",
)
@click.option("--endpoint", metavar="URL", help="Ask a server instead, one that speaks OpenAI's protocol.")
@click.option("--endpoint-model", metavar="NAME", help="The model on that server. If left out: its first one.")
@click.option("--key-env", metavar="NAME", help="The name of the environment variable that holds the server's key.")
@click.option("--concurrency", type=int, help="How many questions the server gets at once.")
@click.option("--timeout", type=float, help="Give up a question when the server sends nothing for this many seconds.")
@click.option(
    "--prompts",
    metavar="DIR",
    shell_complete=completion.files,
    help="A folder with your own prompts: qa.j2, cot.j2, judge.j2.",
)
@click.option("--pairs", type=int, help="How many rows to make from a passage.")
@click.option("--rows", type=int, help="How many rows to make in all, spread over the passages by their length.")
@click.option("--per-1000-tokens", type=float, help="The same, as rows for each 1,000 tokens of the passages.")
@click.option(
    "--kinds",
    metavar="KIND[=N],...",
    help="The kinds of question, with weights: what=2,how,why. Also: when, how_much, which, list, steps, follow_up.",
)
@click.option(
    "--about",
    type=click.Choice(["auto", "passages", "sentences"]),
    help="What the author is asked about: whole passages, or single sentences, which is easier for a small model. "
    "auto tries both on eight passages.",
)
@click.option(
    "--unanswerable",
    type=float,
    help="The share of questions that the documents do not answer, or that are wrong. Their answers say so.",
)
@click.option("--passage-tokens", type=int, help="The most tokens of a passage.")
@click.option(
    "--temperature", type=float, help="How freely the model writes. At 0 it always takes the likeliest token."
)
@click.option("--answer-tokens", type=int, help="The most tokens of one answer of the model.")
@click.option("--attempts", type=int, help="How often to ask about a passage until an answer can be used.")
@click.option("--gaps", is_flag=True, default=None, help="Let rules also leave words out of sentences, to fill in.")
@click.option(
    "--round-trip/--no-round-trip",
    default=None,
    help="Ask each question again, beside its passage, and reject rows whose answer is another. This is what happens "
    "if nothing is said. It takes one prompt a passage, if all agree.",
)
@click.option(
    "--known",
    type=click.Choice(["keep", "drop"]),
    help="Ask the model that is to be tuned each question without the passage. Keep marks the rows that it answers "
    "right already, drop rejects them. It takes one short prompt a row.",
)
@click.option(
    "--tuned-model", metavar="MODEL", help="The model that is to be tuned, for --known. If left out: --model."
)
@click.option("--judge", is_flag=True, default=None, help="Let the model score each row from 1 to 10.")
@click.option("--judge-model", metavar="NAME", help="Another model that scores: on a server, if one is named.")
@click.option("--judge-endpoint", metavar="URL", help="The server that scores, if it is another.")
@click.option("--judge-key-env", metavar="NAME", help="The variable that holds the key of the judge's server.")
@click.option("--threshold", type=int, help="The lowest score of a row that is kept. It goes with --judge.")
@click.option("--balance", type=float, help="The most rows from one file. 2 is twice as many as a usual file gives.")
@click.option("--held-out", type=float, help="The share of the rows that is held out, from 0 to 0.5.")
@click.option(
    "--near-copies", type=click.Choice(["drop", "keep"]), help="What to do with passages that nearly repeat others."
)
@click.option("--max-documents", type=int, help="Stop reading after this many documents.")
@click.option("--password", help="The password of locked documents. It is not written down.")
@click.option("--seed", type=int, help="Another number gives other rows.")
@click.option("--review", is_flag=True, help="Rate twenty rows of a dataset that is there. SOURCE is its name.")
@JSON
@DETACH
def prepare(
    sources: tuple[str, ...],
    to: str | None,
    password: str | None,
    voted: bool,
    review: bool,
    as_json: bool,
    detach: bool,
    **options: Any,
) -> int:
    """Make rows to train on, out of documents or other rows.

    SOURCE is a file, a folder, a glob, hf:OWNER/NAME or youtube:ID. Each question and answer comes with the passage
    that it was made from. For --task rewrite, SOURCE holds rows.

    Each row is kept as soon as it is made. If it was interrupted, the same command goes on. Some documents are held
    out, to measure with. Rejected rows are in rejected.jsonl, with the reasons: see gemmalocal accept.

    One .yaml file may stand in place of SOURCE. It holds the sources and these options as keys. Options on the
    command line win over its keys.

    With --task pairs, SOURCE holds rows, and a run answers their prompts. A judge (--judge-model, --judge-endpoint)
    sees both answers in both orders. Without one, the answer that the row has decides. With --task answers, a model
    or a run (--model) answers them several times, and the same decide which answer is learned.

    With --review, twenty rows of the dataset SOURCE are shown one by one, and you say of each whether it is good.
    The share of good ones is told wherever the dataset is. If a judge scored the rows, a threshold for it is proposed.

    With --votes, what you voted for in Compare and in gemmalocal chat becomes rows of two answers, to learn from with
    an objective such as dpo or kto. The dataset is called votes if --to gives no name.
    """
    if voted:
        return print_until_end(_voted(sources, to, {"review": review or None, **options}), as_json, detach)
    if not sources:
        raise click.UsageError("Missing argument 'SOURCE...'.")
    if review:
        return _review(sources, {"to": to, **options}, as_json)
    file = Path(sources[0]) if len(sources) == 1 and sources[0].lower().endswith((".yaml", ".yml")) else None
    if to is None and file is None:
        raise click.UsageError("Name the dataset: --to DATASET.")
    preparation = _wanted(sources, file, options)
    return print_until_end(
        preparations.begin(to or (file.stem if file else ""), preparation, password), as_json, detach
    )


def _voted(sources: tuple[str, ...], to: str | None, options: dict[str, Any]) -> Job:
    """Begin a dataset of votes; raises `RecipeError` for an option that does not go with them."""
    held_out = options.pop("held_out")
    if given := [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]:
        raise RecipeError(f"{given[0]} does not go with --votes.", "Votes are read as they are: leave it out.")
    return preparations.begin(to or votes.DATASET, _checked(votes.described(sources, held_out)))


def _review(sources: tuple[str, ...], options: dict[str, Any], as_json: bool) -> int:
    """Have rows of a dataset rated; nothing else is asked of the same command."""
    from gemmalocal.cli.review import review

    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None and name != "seed"]
    if given:
        raise RecipeError(f"{given[0]} does not go with --review.", "Rate the rows, or make them: one at a time.")
    if len(sources) != 1:
        raise RecipeError("--review takes one dataset.", "Name it: gemmalocal prepare NAME --review")
    review(sources[0], options["seed"] or 0, as_json)
    return 0


def _wanted(sources: tuple[str, ...], file: Path | None, options: dict[str, Any]) -> Preparation:
    """The preparation that a file and options describe; raises `RecipeError` with all problems."""
    from gemmalocal.recipe import recipe_file

    judged = options["judge"] or options["judge_model"] or options["judge_endpoint"]
    if options["threshold"] is not None and not (judged or file):
        raise RecipeError("--threshold needs --judge.", "Give --judge too, or leave --threshold out.")
    if options["tuned_model"] is not None and not (options["known"] or file):
        raise RecipeError("--tuned-model needs --known.", "Give --known too, or leave --tuned-model out.")
    endpoint = {"url": options.pop("endpoint"), "model": options.pop("endpoint_model")}
    endpoint |= {name: options.pop(name) for name in ("key_env", "concurrency", "timeout")}
    judge_key = options.pop("judge_key_env")
    if options["judge_endpoint"] is not None:
        options["judge_endpoint"] = {"url": options["judge_endpoint"], "key_env": judge_key}
    elif judge_key is not None:
        raise RecipeError("--judge-key-env needs --judge-endpoint.", "--key-env is that of the author's server.")
    keys = {name: value for name, value in options.items() if value is not None}
    endpoint = {name: value for name, value in endpoint.items() if value is not None}
    if endpoint and "url" not in endpoint and not file:
        option = f"--{next(iter(endpoint)).replace('_', '-')}"
        raise RecipeError(f"{option} needs --endpoint.", f"Give --endpoint too, or leave {option} out.")
    tree = {**keys, **({"endpoint": endpoint} if endpoint else {})}
    if file:
        return recipe_file.load_preparation(file, tree)
    tree["sources"] = list(sources)
    return _checked(tree)


def _checked(tree: dict[str, Any]) -> Preparation:
    """A preparation out of its keys; raises `RecipeError` with all problems."""
    from gemmalocal.recipe import recipe_file
    from gemmalocal.recipe.prepare_schema import Preparation

    return recipe_file.checked(
        tree, Preparation, "The options do not fit:", "What each takes: gemmalocal prepare --help"
    )


@click.command()
@click.argument("dataset", shell_complete=completion.datasets)
@click.argument("rows", nargs=-1, type=int, metavar="N...")
def accept(dataset: str, rows: tuple[int, ...]) -> None:
    """Take rejected rows into a dataset after all.

    N are their lines in rejected.jsonl of DATASET. Without N, the rejected rows are listed with the reasons.

    What you took stays taken: it comes along when the dataset is made again.
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
    turns = dataset_rows.turns(row)
    text = " → ".join(turn["content"] for turn in turns) if turns else row["text"]
    return printable(" ".join(text.split()))[:300]


@click.command()
@click.argument("dataset", shell_complete=completion.datasets)
@click.option(
    "--to", "form", type=click.Choice(FORMS), required=True, help="The form. For hub it is a folder with a card."
)
@click.option(
    "--out",
    metavar="FOLDER",
    shell_complete=completion.files,
    help="The new folder. If left out: DATASET-FORM, in the current folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON object.")
def convert(dataset: str, form: str, out: str | None, as_json: bool) -> int:
    """Write rows in the form that another program reads.

    DATASET is one that was prepared here, or any rows, named as in a recipe.
    """
    path = preparations.rows_path(dataset)
    name = os.path.basename(dataset.rstrip("/")) or "dataset"
    target = str(targets.checked_target(f"{name.replace(':', '-')}-{form}" if out is None else out, targets.empty))
    code, report = run_for_report("convert", {"path": path, "form": form, "out": target, "name": name})
    if report:
        say_json(report) if as_json else say(report["path"])
    return code


COMMANDS = (prepare, accept, convert)
