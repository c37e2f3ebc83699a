"""report: did a run help?"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.output import note, page, say, say_json
from gemmalocal.cli.report_jobs import follow_for_report
from gemmalocal.files import safe_read
from gemmalocal.jobs import history
from gemmalocal.workspace import reports

METRICS = ("auto", "exact", "number", "json", "label", "rouge")


@click.command()
@click.argument("runs", nargs=-1, required=True, shell_complete=completion.runs, metavar="RUN...")
@click.option(
    "--rows",
    type=click.IntRange(2, 100_000),
    help="How many held-out rows to draw. If left out: the loss of 200, and answers to 80 of them.",
)
@click.option("--metric", type=click.Choice(METRICS), help="When an answer is right, in place of the recipe's.")
@click.option("--json", "form", flag_value="json", help="Print the figures as one JSON object.")
@click.option("--md", "form", flag_value="md", help="Print the page as Markdown.")
@click.option("--html", "form", flag_value="html", help="Print the page as HTML.")
def report(runs: tuple[str, ...], rows: int | None, metric: str | None, form: str | None) -> int:
    """Say whether a run helped, on one page.

    RUN is its name. The base and the tuned model are asked its held-out rows, general questions and neutral texts. The
    page says what got better and worse, what was forgotten, and what so few rows cannot tell. It is kept in report/ of
    the run's folder. A report that was stopped goes on.

    Several runs are compared in one table, by their losses on the held-out rows of the first.

    The exit code is 3 if the run made things worse.
    """
    folders = [history.find_run(run) for run in runs]
    if len(folders) > 1:
        if metric or form in ("md", "html"):
            raise click.UsageError(
                "Several runs are compared by their losses, in a table: leave --metric and pages out."
            )
        return _compare(folders, rows, form == "json")
    code, figures = follow_for_report(reports.start(folders[0], rows, metric), reports.ENDING)
    if code or not figures:
        return code
    _print(folders[0], figures, form)
    return reports.HURTS if figures["verdict"] == "hurts" else 0


def _print(run: Path, figures: dict[str, Any], form: str | None) -> None:
    folder = run / reports.FOLDER
    if form == "json":
        say_json(figures)
    elif form is not None:
        with safe_read.regular(folder / reports.PAGES[form]) as file:
            say(file.read().decode("utf-8").rstrip("\n"))
    else:
        say(page(summary(figures)))
        note(f"The page: {folder / reports.PAGES['html']}")


def summary(figures: dict[str, Any]) -> list[str]:
    """The sentence, and below it what so many rows can show."""
    lines = [figures["sentence"], f"Metric: {figures['metric']['name']}, {figures['metric']['about']}."]
    gain = figures["limits"].get("gain")
    if gain is not None:
        lines.append(f"Of right answers only changes over {100 * gain:.0f} points would be seen.")
    lines.append(f"Of the loss only changes over {figures['limits']['loss']:.3f} would be seen.")
    if leaks := figures["leakage"]["rows"]:
        lines.append(f"{len(leaks)} held-out rows nearly copy one that was trained on.")
    return lines


def _compare(folders: list[Path], rows: int | None, as_json: bool) -> int:
    job = reports.compare(folders, rows)
    try:
        code, figures = follow_for_report(job)
    finally:
        shutil.rmtree(job.directory, ignore_errors=True)
    if code or not figures:
        return code
    if as_json:
        say_json(figures)
    else:
        say(page(table(figures)))
    return 0


def table(figures: dict[str, Any]) -> list[str]:
    """The runs, the one with the lowest loss first."""
    lines = [f"held-out loss on {figures['rows']} rows of {figures['rows_of']}; p after Holm"]
    for line in figures["runs"]:
        gain = line["difference"]
        interval = f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"
        lines.append(f"{line['run']:<24} {line['base']:.3f} -> {line['tuned']:.3f}  {interval:<26} p = {line['p']:.2g}")
    return lines


COMMANDS = (report,)
