"""What each task asks an author for, and how an answer becomes rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

import json_repair
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from gemmalocal.records import Message, Record
from gemmalocal.synthesis import rules
from gemmalocal.synthesis.language import unspaced
from gemmalocal.synthesis.piece import Candidate, Piece, pair

NonEmptyText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
SUMMARIZE = "Summarize the following text.\n\n{0}"
Schema = TypeVar("Schema", bound=BaseModel)


class AuthoredRow(BaseModel):
    """Base of what an author writes; keys that were not asked for are passed over."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})


class Pair(AuthoredRow):
    """A question, its answer, and a quote that proves it."""

    question: NonEmptyText
    answer: NonEmptyText
    evidence: NonEmptyText


class Thought(AuthoredRow):
    """The same, with the way from the quote to the answer."""

    question: NonEmptyText
    evidence: NonEmptyText
    reasoning: NonEmptyText
    answer: NonEmptyText


class Summary(AuthoredRow):
    """A summary, and a quote of the passage's main sentence."""

    summary: NonEmptyText
    evidence: NonEmptyText


class Rewrite(AuthoredRow):
    """An instruction in other words."""

    instruction: NonEmptyText


class Verdict(AuthoredRow):
    """What a judge says of a row."""

    score: int = Field(ge=1, le=10)
    reason: str = ""


class UnusableAnswer(Exception):
    """An answer that is not what was asked for; the message is a sentence to tell its author."""


@dataclass(frozen=True)
class AuthorForm:
    """What an author is to write, and how a row of it becomes a candidate."""

    row: type[AuthoredRow]
    read: Callable[[Piece, Any], Candidate]


@dataclass(frozen=True)
class Task:
    """`form` is what an author is asked for, if one is.

    `rules` makes candidates without an author, of (piece, count, seed); `ready_made` are those that need nobody.
    """

    name: str
    form: AuthorForm | None = None
    rules: Callable[[Piece, int, int], list[Candidate]] = lambda piece, count, seed: []
    ready_made: Callable[[Piece], list[Candidate]] = lambda piece: []


def schema(row: type[BaseModel], most: int) -> dict[str, Any]:
    """The JSON schema of an object whose `rows` are 1 to `most` such rows."""
    rows = {"type": "array", "items": _plain(row), "minItems": 1, "maxItems": most}
    return {"type": "object", "properties": {"rows": rows}, "required": ["rows"], "additionalProperties": False}


def parse(answer: str, row: type[Schema]) -> list[Schema]:
    """The rows of an answer, those that are whole; raises `UnusableAnswer` if none is.

    Broken JSON is repaired (https://github.com/mangiucugna/json_repair); a list, or a row alone, is taken too.
    """
    content = json_repair.loads(answer)
    items = content.get("rows", content) if isinstance(content, Mapping) else content
    items = items if isinstance(items, list) else [items]
    whole, problems = list[Schema](), list[str]()
    for item in items:
        try:
            whole.append(row.model_validate(item))
        except ValidationError as error:
            first = error.errors()[0]
            problems.append(f"{'.'.join(map(str, first['loc'])) or 'the answer'}: {first['msg']}")
    if not whole:
        raise UnusableAnswer(
            f"This is not the JSON that was asked for ({problems[0] if problems else 'it has no rows'})."
        )
    return whole


def _plain(row: type[BaseModel]) -> dict[str, Any]:
    """A flat JSON schema without titles and descriptions: some servers know no more."""
    row_schema = row.model_json_schema()
    keys = ("type", "minimum", "maximum", "minLength")
    properties = {
        name: {key: part[key] for key in keys if key in part} for name, part in row_schema["properties"].items()
    }
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _pair(piece: Piece, row: Pair) -> Candidate:
    return Candidate(piece, pair(piece, row.question, row.answer), row.evidence, "model", row.question, row.answer)


def _thought(piece: Piece, row: Thought) -> Candidate:
    answer = f"{row.reasoning}\n\nAnswer: {row.answer}"
    return Candidate(piece, pair(piece, row.question, answer), row.evidence, "model", row.question, answer)


def _summary(piece: Piece, row: Summary) -> Candidate:
    record = pair(piece, SUMMARIZE.format(piece.passage.text), row.summary)
    return Candidate(piece, record, row.evidence, "model", answer=row.summary)


def _rewrite(piece: Piece, row: Rewrite, by: str = "model") -> Candidate:
    assert piece.row is not None
    messages = [Message(turn.role, row.instruction) if turn.role == "user" else turn for turn in piece.row.messages]
    record = Record(piece.row.source, tuple(messages))
    return Candidate(piece, record, piece.row.reply, by, question=row.instruction)


def _pairs_by_rule(piece: Piece, count: int, seed: int) -> list[Candidate]:
    questions = rules.questions(piece, count, seed)
    rows = (Pair(question=rule.question, answer=rule.answer, evidence=rule.evidence) for rule in questions)
    return [replace(_pair(piece, row), by="rules") for row in rows]


def _thoughts_by_rule(piece: Piece, count: int, seed: int) -> list[Candidate]:
    questions = rules.questions(piece, count, seed)
    return [replace(_thought(piece, Thought(**question._asdict())), by="rules") for question in questions]


def _summary_by_rule(piece: Piece, count: int, seed: int) -> list[Candidate]:
    evidence = rules.summary(piece)
    joint = "" if unspaced(evidence) else " "
    row = Summary(summary=evidence.replace(" ... ", joint), evidence=evidence) if evidence else None
    return [replace(_summary(piece, row), by="rules")] if row else []


def _rewrites_by_rule(piece: Piece, count: int, seed: int) -> list[Candidate]:
    rewrites = rules.rewrites(instruction(piece), count, seed)
    return [_rewrite(piece, Rewrite(instruction=text), "rules") for text in rewrites]


def instruction(piece: Piece) -> str:
    """What an existing row asks; empty for a passage."""
    turns = piece.row.messages if piece.row else ()
    return next((turn.content for turn in turns if turn.role == "user"), "")


def _row_itself(piece: Piece) -> list[Candidate]:
    assert piece.row is not None
    return [Candidate(piece, piece.row, piece.row.reply, "rows")]


def _text(piece: Piece) -> list[Candidate]:
    text = piece.passage.text
    return [Candidate(piece, Record(piece.passage.source, text=text), text, "rules")]


TASKS = {
    task.name: task
    for task in (
        Task("qa", AuthorForm(Pair, _pair), _pairs_by_rule),
        Task("cot", AuthorForm(Thought, _thought), _thoughts_by_rule),
        Task("summary", AuthorForm(Summary, _summary), _summary_by_rule),
        Task("rewrite", AuthorForm(Rewrite, _rewrite), _rewrites_by_rule, _row_itself),
        Task("text", ready_made=_text),
    )
}
