"""The model that is to be tuned, as somebody to ask what it knows before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.pipelines.shared.authors import Author, open_author
from gemmalocal.pipelines.shared.background import Teller
from gemmalocal.pipelines.shared.pace import Work
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.synthesis import round_trip
from gemmalocal.synthesis.asking import Remembered
from gemmalocal.synthesis.create import Rejection
from gemmalocal.synthesis.piece import Candidate
from gemmalocal.synthesis.retrieval import TextIndex
from gemmalocal.weights.locate import locate
from gemmalocal.workspace import datasets

ANSWER = 96  # tokens of an answer without the passage


def open_tuned(preparation: Preparation, tell: Teller, author: Author | None = None) -> Author:
    """The model that is to be tuned: the author itself where that is the one."""
    name = preparation.tuned_model or preparation.model
    if author and author.ask and preparation.endpoint is None and name == preparation.model:
        return author
    folder = locate(name, tell)
    changes = {"model": name, "endpoint": None, "author": "model", "temperature": 0.0, "answer_tokens": ANSWER}
    return open_author(preparation.model_copy(update=changes), folder, Tokenizer(folder))


def ask_tuned(
    plan: Preparation,
    author: Author,
    kept: Sequence[Candidate],
    index: TextIndex,
    work: Work,
    directory: Path,
    tell: Teller,
    count: Callable[[Remembered], None],
) -> tuple[list[Candidate], list[Rejection]]:
    """Rows, marked whether the model knows them, and those that are dropped for it; `count` takes what it was asked."""
    tuned = open_tuned(plan, tell, author)
    assert tuned.ask is not None
    answers = Remembered(directory / datasets.ASKED, tuned.ask, tuned.name)
    candidates = list(kept)
    work.begin("rows asked without their passages", len(candidates))
    ask = work.through(answers)
    for place, candidate in round_trip.with_knowledge(candidates, ask, tuned.instructed, index.weight):
        candidates[place] = candidate
        work.advance()
    count(answers)
    known = [candidate for candidate in candidates if plan.known == "drop" and candidate.known]
    gone = {id(candidate) for candidate in known}
    left = [candidate for candidate in candidates if id(candidate) not in gone]
    return left, [(candidate, round_trip.KNOWN) for candidate in known]
