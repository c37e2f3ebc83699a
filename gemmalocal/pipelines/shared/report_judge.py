"""A judge of a report: shown what base and tuned model answered, in both orders, and nothing else of the report."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.errors import RecipeError
from gemmalocal.evaluation.judged import Choice, judged, sentence
from gemmalocal.evaluation.measured import Measured
from gemmalocal.files import paths
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Notice, Stage
from gemmalocal.jobs.plurals import counted
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared import choices
from gemmalocal.pipelines.shared.authors import Author, open_author
from gemmalocal.pipelines.shared.background import Teller, in_background
from gemmalocal.pipelines.shared.judges import CHOICE_TOKENS, check_instructed
from gemmalocal.recipe.prepare_schema import EndpointSpec, Preparation
from gemmalocal.synthesis.better import Two
from gemmalocal.weights.locate import locate
from gemmalocal.workspace import reports
from gemmalocal.workspace.reports import Judge


@dataclass(frozen=True)
class Chosen:
    """A judge before it is asked: how it is opened; `same` if it is the model that was tuned, without its tune."""

    plan: Preparation
    folder: Path | None
    tokenizer: Tokenizer | None
    same: bool

    def open(self) -> Author:
        """Load it, or look whether its server is there."""
        return open_author(self.plan, self.folder, self.tokenizer)


def checked(judge: Judge | None, run: Path, commands: Commands) -> Generator[Event, None, Chosen | None]:
    """The judge of that name; raises `RecipeError` for one that cannot judge this run, and what finding it raises."""
    if judge is None:
        return None
    yield Stage("finding the judge")
    if judge.is_server:
        chosen = Chosen(_plan(endpoint=_endpoint(judge)), None, None, same=False)
        yield from in_background(lambda tell: chosen.open().close(), commands)  # is it there, and is its key?
        return chosen
    if judge.model or judge.key_env:
        raise RecipeError("A judge's model name and key are for a server's address.", "Leave them out.")
    if paths.expanded(judge.name).resolve() == history.result(run).resolve() or judge.name == run.name:
        raise RecipeError("The tuned model cannot be its own judge.", "Name another model, or a server's address.")
    folder = yield from in_background(lambda tell: locate(judge.name, tell), commands)
    tokenizer = Tokenizer(folder)
    check_instructed(judge.name, tokenizer)
    base = yield from in_background(lambda tell: locate(str(history.spec(run)["model"]), tell), commands)
    return Chosen(_plan(model=judge.name), folder, tokenizer, folder.resolve() == base.resolve())


def _plan(**keys: Any) -> Preparation:
    """What `open_author` takes for somebody who is asked at temperature 0."""
    return Preparation(sources=["answers"], temperature=0.0, answer_tokens=CHOICE_TOKENS, **keys)


def _endpoint(judge: Judge) -> EndpointSpec:
    try:
        return EndpointSpec(url=judge.name, model=judge.model, key_env=judge.key_env)
    except ValidationError as error:
        problem = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise RecipeError(
            f"The judge's address cannot be used: {problem}.", "Give it as http://HOST:PORT/v1."
        ) from None


def ask(
    chosen: Chosen, measured: Measured, directory: Path, commands: Commands
) -> Generator[Event, None, dict[str, Any]]:
    """The figures of a judge on the rows that were answered; what it said is kept in `directory`. Raises `Stopped`.

    Answers that are equal are a tie, and are not shown.
    """
    compared = [
        Two(row.prompt, row.reference, (row.answers[0].text, row.answers[1].text))
        for row in measured.rows
        if row.answers
    ]
    differing = [two for two in compared if two.answers[0].strip() != two.answers[1].strip()]
    yield Stage(f"the judge reads {counted(len(differing), 'row')} in both orders")
    if chosen.same:
        yield Notice("the judge is the model that was tuned, without its tune: it may like its own answers")
    by, chosen_by = yield from in_background(lambda tell: _choices(chosen, differing, directory, tell), commands)
    figures = judged(chosen_by, len(compared) - len(differing), measured.against)
    figures = {"by": by, "same_model": chosen.same, **figures}
    return {**figures, "sentence": sentence(figures)}


def _choices(
    chosen: Chosen, compared: list[Two], directory: Path, tell: Teller
) -> tuple[str, list[tuple[Choice, Choice]]]:
    """The judge's title, and what it chose of each two, with the first in front and with the second."""
    voice = chosen.open()
    try:
        return voice.title, choices.in_both_orders(voice, compared, directory / reports.JUDGED, tell)
    finally:
        voice.close()
