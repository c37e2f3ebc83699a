"""What each task asks an author for, and how an answer becomes rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

import json_repair
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from gemmalocal.records import Message, Record
from gemmalocal.synthesis import ground, rules
from gemmalocal.synthesis.kinds import FOLLOW_UP, kind_of
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

    kind: str = ""
    question: NonEmptyText
    answer: NonEmptyText
    evidence: NonEmptyText


class Thought(AuthoredRow):
    """The same, with the way from the quote to the answer."""

    kind: str = ""
    question: NonEmptyText
    evidence: NonEmptyText
    reasoning: NonEmptyText
    answer: NonEmptyText


class SentencePair(AuthoredRow):
    """A question that a numbered sentence (from 1) answers, which proves it."""

    sentence: int = Field(ge=1)
    question: NonEmptyText
    answer: NonEmptyText


class SentenceThought(AuthoredRow):
    """The same, with the way from the sentence to the answer."""

    sentence: int = Field(ge=1)
    question: NonEmptyText
    reasoning: NonEmptyText
    answer: NonEmptyText


class Summary(AuthoredRow):
    """A summary, and a quote of the passage's main sentence."""

    summary: NonEmptyText
    evidence: NonEmptyText


class Rewrite(AuthoredRow):
    """An instruction in other words."""

    instruction: NonEmptyText


class MissingFact(AuthoredRow):
    """A question that the documents do not answer, what is missing, and an answer that says so."""

    question: NonEmptyText
    missing: NonEmptyText
    answer: NonEmptyText


class Premise(AuthoredRow):
    """A question that has something `wrong` in place of what is `right`, and an answer that puts it right."""

    right: NonEmptyText
    wrong: NonEmptyText
    question: NonEmptyText
    answer: NonEmptyText


class Answered(AuthoredRow):
    """Whether a question is answered by texts, and the words that answer it."""

    evidence: str = ""
    answered: bool


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
class FactsForm:
    """The same of rows that are each about a numbered sentence, which `read` is given too."""

    row: type[SentencePair] | type[SentenceThought]
    read: Callable[[Piece, Any, str], Candidate]


@dataclass(frozen=True)
class Task:
    """`form` is what an author is asked for, if one is, `facts` what it is asked for where that gave nothing.

    `rules` makes candidates without an author, of (piece, count, seed, whether with gaps); `ready_made` need nobody.
    """

    name: str
    form: AuthorForm | None = None
    facts: FactsForm | None = None
    rules: Callable[[Piece, int, int, bool], list[Candidate]] = lambda piece, count, seed, gaps: []
    ready_made: Callable[[Piece], list[Candidate]] = lambda piece: []


def schema(row: type[BaseModel], most: int, kinds: Collection[str] = ()) -> dict[str, Any]:
    """The JSON schema of an object whose `rows` are 1 to `most` such rows, each of one of these kinds if there are."""
    rows = {"type": "array", "items": _plain(row, kinds), "minItems": 1, "maxItems": most}
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


def _plain(row: type[BaseModel], kinds: Collection[str]) -> dict[str, Any]:
    """A flat JSON schema without titles and descriptions: some servers know no more."""
    row_schema = row.model_json_schema()
    keys = ("type", "minimum", "maximum", "minLength", "enum")
    properties = {
        name: {key: part[key] for key in keys if key in part} for name, part in row_schema["properties"].items()
    }
    if kinds:
        properties["kind"]["enum"] = sorted(set(kinds))
    else:
        properties.pop("kind", None)
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _pair(piece: Piece, row: Pair) -> Candidate:
    record, kind = pair(piece, row.question, row.answer), kind_of(row.question, row.kind)
    return Candidate(piece, record, row.evidence, "model", row.question, row.answer, kind=kind)


def _thought(piece: Piece, row: Thought) -> Candidate:
    answer = f"{row.reasoning}\n\nAnswer: {row.answer}"
    record, kind = pair(piece, row.question, answer), kind_of(row.question, row.kind)
    return Candidate(piece, record, row.evidence, "model", row.question, answer, kind=kind)


def _sentence_pair(piece: Piece, row: SentencePair, sentence: str) -> Candidate:
    return _pair(piece, Pair(question=row.question, answer=row.answer, evidence=sentence))


def _sentence_thought(piece: Piece, row: SentenceThought, sentence: str) -> Candidate:
    fields = row.model_dump(exclude={"sentence"})
    return _thought(piece, Thought(**fields, evidence=sentence))


def followed(first: Candidate, second: Candidate) -> Candidate:
    """A row and one that goes on from it, as one conversation; its question is the first, which stands alone."""
    record = replace(first.record, messages=(*first.record.messages, *second.record.messages))
    passage = ground.normal(first.piece.passage.text)
    quotes = sorted({first.evidence, second.evidence}, key=lambda quote: passage.find(ground.normal(quote)[:40]))
    evidence = " ... ".join(quotes)
    if ground.problem(evidence, first.piece.passage.text):  # they overlap
        evidence = max(quotes, key=len)
    return replace(first, record=record, evidence=evidence, kind=FOLLOW_UP)


def _summary(piece: Piece, row: Summary) -> Candidate:
    record = pair(piece, SUMMARIZE.format(piece.passage.text), row.summary)
    return Candidate(piece, record, row.evidence, "model", answer=row.summary)


def _rewrite(piece: Piece, row: Rewrite, by: str = "model") -> Candidate:
    assert piece.row is not None
    messages = [Message(turn.role, row.instruction) if turn.role == "user" else turn for turn in piece.row.messages]
    record = Record(piece.row.source, tuple(messages))
    return Candidate(piece, record, piece.row.reply, by, question=row.instruction)


def _pairs_by_rule(piece: Piece, count: int, seed: int, gaps: bool) -> list[Candidate]:
    return [
        replace(_pair(piece, Pair(**rule._asdict())), by="rules", kind=rule.kind)
        for rule in rules.questions(piece, count, seed, gaps)
    ]


def _thoughts_by_rule(piece: Piece, count: int, seed: int, gaps: bool) -> list[Candidate]:
    return [
        replace(_thought(piece, Thought(**rule._asdict())), by="rules", kind=rule.kind)
        for rule in rules.questions(piece, count, seed, gaps)
    ]


def _summary_by_rule(piece: Piece, count: int, seed: int, gaps: bool) -> list[Candidate]:
    evidence = rules.summary(piece)
    joint = "" if unspaced(evidence) else " "
    row = Summary(summary=evidence.replace(" ... ", joint), evidence=evidence) if evidence else None
    return [replace(_summary(piece, row), by="rules")] if row else []


def _rewrites_by_rule(piece: Piece, count: int, seed: int, gaps: bool) -> list[Candidate]:
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
        Task("qa", AuthorForm(Pair, _pair), FactsForm(SentencePair, _sentence_pair), _pairs_by_rule),
        Task("cot", AuthorForm(Thought, _thought), FactsForm(SentenceThought, _sentence_thought), _thoughts_by_rule),
        Task("summary", AuthorForm(Summary, _summary), rules=_summary_by_rule),
        Task("rewrite", AuthorForm(Rewrite, _rewrite), rules=_rewrites_by_rule, ready_made=_row_itself),
        Task("text", ready_made=_text),
    )
}
