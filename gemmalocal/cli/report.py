"""report: did a run help?"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gemmalocal.cli import completion
from gemmalocal.cli.output import note, page, say, say_json
from gemmalocal.cli.report_jobs import follow_for_report
from gemmalocal.errors import JobBusy, RecipeError
from gemmalocal.files import safe_read
from gemmalocal.jobs import history
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.workspace import exports, reports
from gemmalocal.workspace.reports import Judge, Wish

METRICS = ("auto", "exact", "number", "json", "tools", "label", "rouge")
OF_ONE = "Several runs are compared by their losses, in a table: only --rows and --json go with that."


@click.command()
@click.argument("runs", nargs=-1, required=True, shell_complete=completion.runs, metavar="RUN...")
@click.option(
    "--rows",
    type=click.IntRange(2, 100_000),
    help="How many held-out rows to draw. If left out: the loss of 200, and answers to 80 of them.",
)
@click.option("--metric", type=click.Choice(METRICS), help="When an answer is right, in place of the recipe's.")
@click.option(
    "--against",
    metavar="RUN",
    shell_complete=completion.runs,
    help="Hold it against another run, or base. If left out: the run that it started from, else the base.",
)
@click.option("--form", "label", metavar="FORM", help="Ask an export of the run, such as gguf-Q4_K_M.")
@click.option("--judge", metavar="MODEL|URL", help="Let a model, or a server, say which answers are better.")
@click.option("--judge-model", metavar="NAME", help="The judge's name on its server. If left out: the first there.")
@click.option("--key-env", metavar="NAME", help="The name of the environment variable that holds the server's key.")
@click.option("--whole", is_flag=True, help="Read all neutral texts also on a CPU: five times as much.")
@click.option("--json", "form", flag_value="json", help="Print the figures as one JSON object.")
@click.option("--md", "form", flag_value="md", help="Print the page as Markdown.")
@click.option("--html", "form", flag_value="html", help="Print the page as HTML.")
def report(
    runs: tuple[str, ...],
    against: str | None,
    label: str | None,
    judge: str | None,
    judge_model: str | None,
    key_env: str | None,
    form: str | None,
    **options: Any,
) -> int:
    """Say whether a run helped, on one page.

    RUN is its name. The base and the tuned model are asked its held-out rows, general questions and neutral texts. The
    page says what got better and worse, what was forgotten, and what so few rows cannot tell. It is kept in report/ of
    the run's folder; that of an export, or against another run, in reports/. A report that was stopped goes on.

    A judge sees both answers in both orders. What it says stands by itself, and changes no verdict.

    Several runs are compared in one table, by their losses on the held-out rows of the first.

    The exit code is 3 if the run made things worse. It is 3 too if a model or an engine is missing: then nothing is
    printed. "verdict" in --json tells them apart.
    """
    folders = [history.find_run(run) for run in runs]
    if judge is None and (judge_model or key_env):
        raise click.UsageError("--judge-model and --key-env need --judge.")
    wish = Wish(**options, judge=Judge(judge, judge_model, key_env) if judge else None)
    if len(folders) > 1:
        if form in ("md", "html") or against or label or wish != Wish(wish.rows):
            raise click.UsageError(OF_ONE)
        return _compare(folders, wish.rows, form == "json")
    wish = replace(wish, against=_against(against), form=_label(folders[0], label))
    code, figures = _followed(folders[0], wish)
    if code or not figures:
        return code
    _print(reports.place(folders[0], wish), figures, form)
    return reports.HURTS if figures["verdict"].startswith("hurts") else 0


def _against(name: str | None) -> str | None:
    """The folder of the other run, as a job is told it."""
    return name if name in (None, reports.BASE) else str(history.find_run(str(name)).absolute())


def _label(run: Path, form: str | None) -> str | None:
    """The whole label of an export; raises `RecipeError` where there is none."""
    if form is None:
        return None
    label = exports.whole_label(run, form)
    if label is None:
        exported = exports.labels(run)
        has = f" It has: {', '.join(exported)}." if exported else ""
        kind = exports.name_of(form)
        raise RecipeError(f"{run.name} has no export '{form}'.{has}", f"gemmalocal export {run.name} --to {kind}")
    return label


def _followed(run: Path, wish: Wish) -> tuple[int, dict[str, Any]]:
    """Start the report, or look on at the same one that is being made: then Ctrl-C does not stop it."""
    try:
        return follow_for_report(reports.start(run, wish), reports.ENDING)
    except JobBusy:
        job = reports.under_way(run, wish)
        if job is None:
            raise
    note("This report is being made already. Ctrl-C looks away, and leaves it running.")
    return follow_for_report(job, stoppable=False)


def _print(folder: Path, figures: dict[str, Any], form: str | None) -> None:
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
    lines = [figures["sentence"]]
    if figures["form"]:
        lines.append(f"Asked was the export {figures['form']}.")
    lines += [f"Beside that, against {beside['against']}: {beside['sentence']}" for beside in figures["beside"]]
    lines += [figures[part]["sentence"] for part in ("judge", "teacher") if figures.get(part)]
    lines.append(f"Metric: {figures['metric']['name']}, {figures['metric']['about']}.")
    gain = figures["limits"].get("gain")
    if gain is not None:
        lines.append(f"Of right answers only changes over {100 * gain:.0f} points would be seen.")
    lines.append(f"Of the loss only changes over {figures['limits']['loss']:.3f} would be seen.")
    if leaks := figures["leakage"]["rows"]:
        lines.append(
            f"{len(leaks)} held-out {plural(len(leaks), 'row nearly copies', 'rows nearly copy')} one "
            "that was trained on."
        )
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
    lines = [f"held-out loss on {counted(figures['rows'], 'row')} of {figures['rows_of']}; p after Holm"]
    for line in figures["runs"]:
        gain = line["difference"]
        interval = f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"
        losses = f"{loss_text(line['base'])} -> {loss_text(line['tuned'])}"
        lines.append(f"{line['run']:<24} {losses}  {interval:<26} p = {line['p']:.2g}")
    return lines


COMMANDS = (report,)
