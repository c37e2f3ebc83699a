"""check: what a recipe would train on, printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.output import StyledText, joined, note, page, say, say_json, styled
from gemmalocal.cli.quality import quality_of
from gemmalocal.cli.report_jobs import run_for_report
from gemmalocal.errors import RecipeError
from gemmalocal.files.sizes import gigabytes
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.jobs.terminal_text import on_line, printable
from gemmalocal.planning.throughput import duration

BAR = 34  # cells of the histogram's longest bar
MARKS = "⟦⟧"  # around what is supervised, where there is no colour
LABEL = 10  # cells of what a line is about


@click.command()
@click.argument("recipe", shell_complete=completion.recipes)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=completion.keys,
    help="Change one key of the recipe, such as data.path=x.jsonl.",
)
@click.option(
    "--quality",
    is_flag=True,
    help="See how good rows are to learn from. In place of RECIPE name a dataset, or any rows, as in a recipe.",
)
@click.option(
    "--endpoint", metavar="URL", help="With --quality: a server that is asked each question again, beside its evidence."
)
@click.option("--endpoint-model", metavar="NAME", help="The model on that server. If left out: its first one.")
@click.option("--key-env", metavar="NAME", help="The name of the environment variable that holds the server's key.")
@click.option("--known", metavar="MODEL", help="With --quality: a model that is asked each question by itself.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def check(recipe: str, overrides: tuple[str, ...], quality: bool, as_json: bool, **asked: str | None) -> int:
    """See what a recipe would train on, and whether it fits.

    RECIPE is a file, or the name of a recipe that comes along. The model's weights are not loaded.

    It shows what is wrong or odd with the rows, how long they are, the memory and the time that training takes, and
    three rows. What the model learns of them is in colour and underlined. Without colour it stands between ⟦ and ⟧.
    """
    from gemmalocal.recipe import recipe_file

    if quality:
        return quality_of(recipe, asked, as_json)
    if given := [name for name, value in asked.items() if value is not None]:
        option = f"--{given[0].replace('_', '-')}"
        raise RecipeError(f"{option} needs --quality.", f"Give --quality too, or leave {option} out.")
    code, report = run_for_report("check", recipe_file.load(recipe, overrides, note).model_dump(mode="json"))
    if as_json and report:
        say_json(report)
    elif report:
        say(page(lines(report, coloured())))
    return code


def coloured() -> bool:
    """Whether what is printed will have colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def lines(report: dict[str, Any], colour: bool = True) -> Iterator[str]:
    """The report for a person, a line at a time, styled or foreign: for `output.page`; the app shows the same.

    Without `colour` what is supervised stands between `MARKS`.
    """
    if "train" in report:
        yield from _numbers(report)
    yield from problems(report)
    rows = report.get("rows", [])
    if rows and not colour:
        yield f"\nWhat is learned stands between {MARKS[0]} and {MARKS[1]}."
    for row in rows:
        rated = f" ({'good' if row['label'] else 'bad'})" if "label" in row else ""
        yield f"\n{on_line(row['source'])}{rated}"
        yield joined(*(_piece(text, supervised, colour) for text, supervised in row["pieces"]))
        if "rejected" in row:
            rejected = row["rejected"]
            yield styled(
                f"rejected, {counted(rejected['supervised'], 'token')} (chosen {row['supervised']})", bold=True
            )
            yield joined(*(_piece(text, supervised, colour) for text, supervised in rejected["pieces"]))


def problems(report: dict[str, Any]) -> Iterator[str]:
    """What is to be known of the rows, and what is wrong or odd with them, by kind."""
    for sentence in report.get("notes", []):
        yield _line("rows", printable(sentence))
    for problem in report["problems"]:
        yield from _problem(problem)


def _numbers(report: dict[str, Any]) -> Iterator[str]:
    """Lines that fit a terminal of 80 columns, and a dialog in it."""
    memory, time, long_rows = report["memory"], report["time"], report["long_rows"]
    about = report.get("about", "")  # why the steps of a run of a given time are so many, or not known
    count = None if report["steps"] is None else f"{'about ' * bool(about)}{report['steps']}"
    steps = f", {count} {plural(report['steps'], 'step')}" if count else ""
    yield _line("model", f"{report['model']}, shape {report['shape']}{steps}")
    if about:
        yield _line("", about)
    verdict = "it fits" if memory["fits"] else "it may NOT fit"
    peak, machine = (gigabytes(memory[name]) for name in ("total", "machine"))
    yield _line("memory", f"{peak} of {machine} GB of {memory['of']} at the peak: {verdict}")
    parts = ", ".join(f"{name} {gigabytes(memory[name], 2)}" for name in ("weights", "activations", "head", "adapter"))
    yield _line("", f"{parts} GB")
    longest = f"{memory['longest_row']} {plural(memory['longest_row'], 'token')}"
    yield _line("", f"rows of up to {longest} would fit, one at a time")
    took = f"about {duration(time['seconds'])}, " if time["seconds"] is not None else ""
    yield _line("time", f"{took}{time['why']}")
    if scoring := report.get("scoring"):
        yield _line("teacher", printable(scoring["sentence"]))
    for side in ("train", "held_out"):
        yield from _side(side.replace("_", "-"), report[side])
    left_out, duplicates = report["left_out"], report["duplicates"]
    rows = f"{left_out:>7} {plural(left_out, 'row')}"
    yield _line("not used", f"{rows} left out, {duplicates} {plural(duplicates, 'duplicate')}")
    if equal := report.get("equal_answers"):
        pairs = equal + report["train"]["rows"] + report["held_out"]["rows"]
        share = f"{100 * equal / pairs:.1f} % of all"
        yield _line("", f"{equal:>7} {plural(equal, 'pair')} of equal answers, {share}, among them")
    cut = report["train"]["cut"] + report["held_out"]["cut"]
    yield _line("", f"longer than {long_rows['max_length']} tokens: {cut} cut, {long_rows['split']} split")
    bins = report["train"]["histogram"]
    most = max(count for _, _, count in bins)
    for shortest, longest, count in bins:
        bar = "█" * -(-BAR * count // most)
        yield f"{f'{shortest}-{longest}':>17} tokens {bar or '·'} {count}"


def _line(label: str, text: str) -> str:
    return f"{label:<{LABEL}}{text}"


def _side(name: str, numbers: dict[str, Any]) -> Iterator[str]:
    rows, tokens = (f"{plural(numbers[key], key.removesuffix('s')):<{len(key)}}" for key in ("rows", "tokens"))
    supervised = f"{numbers['supervised_tokens']} supervised"
    yield _line(name, f"{numbers['rows']:>7} {rows} {numbers['tokens']:>10} {tokens.rstrip()}, {supervised}")
    median, most, longest = (numbers[f"length_{which}"] for which in ("median", "p95", "max"))
    yield _line("", f"lengths: median {median}, 95 % up to {most}, longest {longest}")
    if judged := numbers.get("judged"):
        yield _line("", _judged(judged))


def _judged(judged: dict[str, Any]) -> str:
    """Of answers that are compared or rated: how long they are by what was said of them."""
    good, bad = judged["good_median"], judged["bad_median"]
    if judged["kind"] == "rated":
        return f"{judged['good']} good ones of median {good} tokens, {judged['bad']} bad ones of {bad}"
    return f"chosen median {good}, rejected {bad} tokens; chosen longer in {100 * judged['chosen_longer']:.0f} %"


def _problem(problem: dict[str, Any]) -> Iterator[str]:
    count, colour = problem["count"], "red" if problem["effect"] == "left out" else "yellow"
    detail = f": {printable(problem['detail'])}" if problem["detail"] else ""
    more = ", ..." if count > len(problem["sources"]) else ""
    head = styled(f"{problem['effect']:<9}{count:>8} {'row' if count == 1 else 'rows'}", fg=colour)
    yield joined(head, f" ({printable(', '.join(problem['sources']))}{more}): the row {problem['kind']}{detail}")
    if problem["example"]:
        yield styled(f"{'':<18}{printable(problem['example'])}", dim=True)


def _piece(text: str, supervised: bool, colour: bool) -> StyledText:
    marked = "⏎\n".join(printable(line) for line in text.split("\n"))
    if supervised and not colour:
        marked = f"{MARKS[0]}{marked}{MARKS[1]}"
    return styled(marked, fg="green", underline=True) if supervised else styled(marked, dim=True)


COMMANDS = (check,)
