"""check --quality: how good rows are to learn from, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gemmalocal.cli.output import page, say, say_json
from gemmalocal.cli.report_jobs import run_for_report
from gemmalocal.errors import RecipeError
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.jobs.terminal_text import on_line, printable
from gemmalocal.workspace import preparations

FINDINGS = {"stands_alone": "stand alone", "fits": "fit", "agrees": "agree", "known": "known"}
NAME = 40  # cells of a document's name
WIDE = 14  # cells of a figure


def quality_of(dataset: str, asked: Mapping[str, str | None], as_json: bool) -> int:
    """Look at a dataset's rows and print what was found; the exit code."""
    code, report = run_for_report("quality", _spec(dataset, asked))
    if report:
        say_json(report) if as_json else say(page(lines(report)))
    return code


def _spec(dataset: str, asked: Mapping[str, str | None]) -> dict[str, Any]:
    """The rows and who is asked about them, as a preparation; raises `RecipeError`."""
    from gemmalocal.recipe import recipe_file
    from gemmalocal.recipe.prepare_schema import Preparation

    endpoint = {"url": asked["endpoint"], "model": asked["endpoint_model"], "key_env": asked["key_env"]}
    endpoint = {name: value for name, value in endpoint.items() if value is not None}
    if endpoint and "url" not in endpoint:
        option = f"--{'endpoint-model' if 'model' in endpoint else 'key-env'}"
        raise RecipeError(f"{option} needs --endpoint.", f"Give --endpoint too, or leave {option} out.")
    tree: dict[str, Any] = {"sources": [preparations.rows_path(dataset)]}
    tree |= {"endpoint": endpoint} if endpoint else {}
    tree |= {"known": "keep", "tuned_model": asked["known"]} if asked["known"] else {}
    preparation, problems = recipe_file.from_tree(tree, Preparation)
    if preparation is None:
        raise RecipeError("\n  ".join(f"{key}: {why}" for key, why in problems.items()), "gemmalocal check --help")
    return preparation.model_dump(mode="json")


def lines(report: dict[str, Any]) -> Iterator[str]:
    """The report for a person: all rows, then by document, then the first rows of each kind of fault."""
    yield f"{counted(report['rows'], 'row')}, {report['near_copies']} of them near copies of others" + (
        f"; {report['left_out']} could not be read" if report["left_out"] else ""
    )
    how = "agree with their evidence when asked again" if report["asked_again"] else "have their answer's words in it"
    yield f"{_share(report['stands_alone'])} questions stand alone: no other passage or row has all of their words"
    yield f"{_share(report['fits'])} rows with evidence fit: the answer is what the question asks for"
    yield f"{_share(report['agrees'])} rows with evidence {how}"
    if report["known"]["checked"]:
        yield f"{_share(report['known'])} questions are answered right by the model alone"
    yield ""
    heads = ("rows", *FINDINGS.values(), "near copies")
    yield f"{'document':<{NAME}}" + "".join(f"{head:>{WIDE}}" for head in heads)
    for document in report["documents"]:
        shares = [_percent(document[name]) for name in FINDINGS]
        figures = (str(document["rows"]), *shares, str(document["near_copies"]))
        yield f"{_name(document['document']):<{NAME}}" + "".join(f"{figure:>{WIDE}}" for figure in figures)
    if report["more_documents"]:
        yield f"and {report['more_documents']} more {plural(report['more_documents'], 'document')}"
    for name, rows in report["faults"].items():
        yield from _faults(FINDINGS[name], rows)


def _faults(what: str, rows: list[dict[str, str]]) -> Iterator[str]:
    if rows:
        yield f"\nThe first that do not {what}:"
    for row in rows:
        yield f"{on_line(row['source'])}: {printable(row['why'])}"
        yield f"    {printable(' '.join(row['question'].split()))[:200]}"


def _share(finding: dict[str, int]) -> str:
    return f"{finding['rows']} of {finding['checked']}"


def _percent(finding: dict[str, int]) -> str:
    return f"{finding['rows'] / finding['checked']:.0%}" if finding["checked"] else "-"


def _name(document: str) -> str:
    shown = on_line(document)
    return shown if len(shown) < NAME else f"...{shown[-(NAME - 4) :]}"
