"""What rows are made from, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from gemmalocal.documents.document import Passage
from gemmalocal.records import Message, Record

GAP = "____"  # what stands for words to be filled in
PassageKey = tuple[str, int]  # a document's hash, and a passage's number in it


@dataclass(frozen=True)
class Piece:
    """A passage with the title of its document, or an existing row, whose reply is the passage then.

    `document` is a hash of the document's content (of a row: its own); it decides which side the rows are on. `file`
    is where it was read, one for all rows of a table; no file may give too many rows.
    """

    document: str
    title: str
    passage: Passage
    row: Record | None = None
    file: str = ""
    before: str = ""  # a line of what came before the passage
    terms: tuple[str, ...] = ()  # words in it that its document defines or often names

    @property
    def section(self) -> str:
        """The heading it stands under, without the document's title in front."""
        return self.passage.heading.removeprefix(self.title).removeprefix(" > ").strip()


@dataclass(frozen=True)
class Candidate:
    """A row as it was made: `evidence` is the quote that must occur in the piece's passage, `by` model or rules.

    `question` and `answer` are what was written anew (empty where nothing was), `record` what is to be trained.
    `agreed`: asked again beside the passage, the answer was the same; `known`: the model that is to be tuned gave it
    without the passage; both are None where nobody was asked.
    """

    piece: Piece
    record: Record
    evidence: str
    by: str
    question: str = ""
    answer: str = ""
    score: int | None = None
    kind: str = ""  # of question, where it is known
    agreed: bool | None = None
    known: bool | None = None

    def columns(self) -> dict[str, Any]:
        """The row as it is saved: a recipe reads its messages or its text (its own evidence), a person the rest."""
        passage, record = self.piece.passage, self.record
        turns = [{"role": message.role, "content": message.content} for message in record.messages]
        row: dict[str, Any] = {"messages": turns} if turns else {"text": record.text}
        row |= {"source": passage.source, "page": passage.page, "heading": passage.heading}
        row |= {"passage_number": passage.number if turns and self.piece.row is None else None}
        row |= {"evidence": self.evidence if turns else None, "by": self.by, "kind": self.kind, "score": self.score}
        row |= {"known": self.known}
        return {key: value for key, value in row.items() if value not in (None, "")}


def passage_key(piece: Piece) -> PassageKey:
    """Where a piece is."""
    return piece.document, piece.passage.number


class RuleQuestion(NamedTuple):
    """A rule's question with its answer, the sentence it stands on, how one comes from the other, and its kind."""

    question: str
    answer: str
    evidence: str
    reasoning: str
    kind: str


def pair(piece: Piece, question: str, answer: str) -> Record:
    """A conversation of two turns, from a piece."""
    return Record(piece.passage.source, (Message("user", question.strip()), Message("assistant", answer.strip())))
