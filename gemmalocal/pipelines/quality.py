"""How good rows are to learn from: a dataset that was prepared here, or rows from elsewhere; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemmalocal.data.cells import UnusableRow
from gemmalocal.errors import DatasetError
from gemmalocal.jobs.events import Event, Finished, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.authors import Author, open_author
from gemmalocal.pipelines.shared.background import Stopped, Teller, in_background
from gemmalocal.pipelines.shared.pace import Work
from gemmalocal.pipelines.shared.row_records import read_rows
from gemmalocal.pipelines.shared.tuned import open_tuned
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.synthesis import row_quality
from gemmalocal.synthesis.asking import AskAuthor, Remembered
from gemmalocal.synthesis.dialogue import Dialogue, side_by_side
from gemmalocal.synthesis.retrieval import TextIndex
from gemmalocal.synthesis.round_trip import again, with_knowledge
from gemmalocal.synthesis.row_quality import InspectedRow
from gemmalocal.synthesis.wording import Wording
from gemmalocal.workspace import datasets

SHOWN = 20  # rows of each kind of fault that the report lists
LISTED = 100  # documents that it lists


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Look at the rows that are the only source of the preparation `spec`; `endpoint` and `known` say who is asked.

    The author is asked for the answers again beside their evidence; the model that is to be tuned without it.
    """
    preparation = Preparation.model_validate(spec)
    try:
        yield Stage("reading the rows")
        rows, left_out = yield from in_background(lambda tell: _read(preparation.sources[0], tell), commands)
        yield Stage("looking at the rows")
        yield from in_background(lambda tell: _look(preparation, rows, directory, tell), commands)
    except Stopped:
        yield Finished("stopped", "nothing was changed")
        return
    documents = row_quality.by_document(rows)
    faults = {name: list(_faulty(rows, name)) for name in ("stands_alone", "fits", "agrees")}
    yield Report(
        {
            "path": preparation.sources[0],
            **row_quality.counts(rows),
            "left_out": left_out,
            "asked_again": preparation.endpoint is not None,
            "faults": faults,
            "documents": documents[:LISTED],
            "more_documents": max(0, len(documents) - LISTED),
        }
    )
    yield Finished("done")


def _read(path: str, tell: Teller) -> tuple[list[InspectedRow], int]:
    """All rows at a place, and how many could not be read as rows."""
    rows, left_out = list[InspectedRow](), 0
    for row in read_rows(path, tell):
        try:
            if isinstance(row, UnusableRow):
                raise row
            record, columns = row
            rows.append(row_quality.inspected(record, columns, len(rows)))
        except UnusableRow:
            left_out += 1
    if not rows:
        raise DatasetError(f"There is no row at {path}.", "What rows look like: gemmalocal check RECIPE shows it.")
    return rows, left_out


def _look(preparation: Preparation, rows: list[InspectedRow], directory: Path, tell: Teller) -> None:
    """Fill in all that is asked for."""
    index, places = row_quality.index_of(rows)
    for number, _ in enumerate(row_quality.inspect(rows, index, places), 1):
        tell("rows looked at", number, len(rows))
    if preparation.endpoint is not None:
        author = open_author(preparation, None, None)
        try:
            _ask_again(rows, _asking(author, directory, tell), index)
        finally:
            author.close()
    if preparation.known:
        tuned = open_tuned(preparation, tell)
        work, ask = _asking(tuned, directory, tell)
        candidates = [row.candidate for row in rows]
        work.begin("rows asked without their evidence", len(rows))
        for place, candidate in with_knowledge(candidates, ask, tuned.instructed, index.weight):
            rows[place].known = candidate.known
            work.advance()


def _asking(author: Author, directory: Path, tell: Teller) -> tuple[Work, AskAuthor]:
    assert author.ask is not None
    work = Work(tell, 1, None)
    return work, work.through(Remembered(directory / datasets.ASKED, author.ask, author.name))


def _ask_again(rows: list[InspectedRow], asking: tuple[Work, AskAuthor], index: TextIndex) -> None:
    """Ask for the answers again beside the evidence, in place of looking at their words."""
    chosen, wording = [row for row in rows if row.agrees is not None], Wording()
    work, ask = asking
    work.begin("rows asked again", len(chosen))
    for row, agreed, reason in side_by_side((_again(row, wording, index) for row in chosen), ask):
        if agreed is not None:
            row.agrees = agreed
            row.why.pop("agrees", None)
            row.why |= {"agrees": reason} if reason else {}
        work.advance()


def _again(row: InspectedRow, wording: Wording, index: TextIndex) -> Dialogue[tuple[InspectedRow, bool | None, str]]:
    ((candidate, reason),) = yield from again([row.candidate], wording, index.weight)
    return row, candidate.agreed, reason


def _faulty(rows: list[InspectedRow], name: str) -> Iterator[dict[str, str]]:
    """The first rows with a fault of a kind."""
    faulty = [row for row in rows if name in row.why]
    for row in faulty[:SHOWN]:
        own = row.candidate
        yield {"source": own.record.source, "question": own.question, "answer": own.answer, "why": row.why[name]}
