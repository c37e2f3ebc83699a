"""Who judges rows: a model of its own, here or on a server, or the author, whose opinion of itself counts less."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.errors import RecipeError
from gemmalocal.jobs.plurals import counted
from gemmalocal.pipelines.shared.authors import Author, open_author
from gemmalocal.pipelines.shared.background import Teller
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.synthesis.piece import Candidate
from gemmalocal.weights.locate import locate
from gemmalocal.workspace import ratings

OWN = 1  # points more that a row needs if its own author judges it
BEST = 10
CHOICE_TOKENS = 256  # that a judge of two answers may write


@dataclass(frozen=True)
class Judge:
    """Who scores rows, and the `threshold` that they must reach; `same`: by the model that wrote them.

    `chosen`: a person has chosen the threshold by rating rows, which counts as it is.
    """

    voice: Author
    same: bool
    threshold: int
    chosen: bool = False


def check_judge(plan: Preparation, author: Author, tell: Teller) -> None:
    """Raise `RecipeError` if nobody can judge, or what finding a judge of its own raises, before anything is asked."""
    own = _own(plan)
    if own is None:
        if author.ask is None or not author.instructed:
            hint = (
                "Name a model that follows instructions, or an endpoint; --judge-model names one for the judge alone."
            )
            raise RecipeError(f"Nothing can judge the rows: the author is {author.title}.", hint)
    elif own.endpoint is None:
        check_instructed(own.model, Tokenizer(locate(own.model, tell)))


def open_judge(plan: Preparation, author: Author, directory: Path, tell: Teller) -> Judge:
    """The judge of a preparation whose dataset is in `directory`: the author, unless another is named."""
    own = _own(plan)
    if own is None:
        voice = author
    else:
        folder = locate(own.model, tell) if own.endpoint is None else None
        voice = open_author(own, folder, Tokenizer(folder) if folder else None)
    same = voice.name == author.name or _model(voice) == _model(author)
    if (chosen := ratings.chosen(directory)) is not None:
        return Judge(voice, same, chosen, chosen=True)
    return Judge(voice, same, min(BEST, plan.threshold + OWN) if same else plan.threshold)


def check_instructed(name: str, tokenizer: Tokenizer) -> None:
    """Raise `RecipeError` if a model follows no instructions, and so cannot judge."""
    if not tokenizer.has_template:
        hint = "Name a model that follows instructions, or a server's address."
        raise RecipeError(f"{name} cannot judge: it is a base model.", hint)


def judge_alone(plan: Preparation) -> Preparation | None:
    """A preparation whose author is a judge that answers shortly, where no author writes; None if nobody is named."""
    own = _own(plan)
    return own and own.model_copy(update={"temperature": 0.0, "answer_tokens": CHOICE_TOKENS})


def _own(plan: Preparation) -> Preparation | None:
    """A preparation whose author is the judge; None if no judge of its own is named."""
    if plan.judge_model is None and plan.judge_endpoint is None:
        return None
    endpoint = plan.judge_endpoint or plan.endpoint
    if endpoint is not None and plan.judge_model is not None:
        endpoint = endpoint.model_copy(update={"model": plan.judge_model})
    changes = {"author": "model", "task": "qa", "endpoint": endpoint, "model": plan.judge_model or plan.model}
    return plan.model_copy(update=changes)


def _model(author: Author) -> str:
    """The name of an author's model, without where it answers."""
    return author.title.partition(" at ")[0]


def about(judge: Judge | None, candidates: Iterable[Candidate]) -> dict[str, Any] | None:
    """Who judged, what was asked for, and how many rows had which score; None if nobody judged."""
    if judge is None:
        return None
    scored = Counter(candidate.score for candidate in candidates if candidate.score)
    return {
        "by": judge.voice.title,
        "same_model": judge.same,
        "threshold": judge.threshold,
        "chosen_by_you": judge.chosen,
        "scores": {str(score): scored[score] for score in sorted(scored, reverse=True)},
    }


def told(report: dict[str, Any] | None) -> Iterator[str]:
    """The same as sentences."""
    if report is None:
        return
    by = "the model that wrote the rows" if report["same_model"] else report["by"]
    why = ", as you chose" if report["chosen_by_you"] else ", one more than of another judge" * report["same_model"]
    yield f"judged by {by}; a score of {report['threshold']} is needed{why}"
    if report["same_model"]:
        yield "a model is lenient with itself: rate rows yourself (--review), or name another judge (--judge-model)"
    scores = (f"{counted(rows, 'row')} of {score}" for score, rows in report["scores"].items())
    yield f"scores: {', '.join(scores) or 'none'}"
