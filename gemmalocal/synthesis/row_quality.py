"""Rows that are there already, from wherever: what stands alone among them, agrees with its evidence, is said twice.

No passages are needed: a question is set against the evidence of the other rows and their answers, or what they ask and
answer where there is none. Rows of one passage are one text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gemmalocal.documents.document import Passage
from gemmalocal.documents.duplicates import NearDuplicates
from gemmalocal.records import Record
from gemmalocal.synthesis import agreement, fitting
from gemmalocal.synthesis.piece import Candidate, Piece
from gemmalocal.synthesis.retrieval import IndexedText, TextIndex

SAME = 0.8  # of `duplicates.likeness`: rows that say nearly the same; those about one thing share half of their words
EVIDENCE = ("evidence", "context", "passage", "quote")  # columns that an answer should rest on, by what they are called


@dataclass
class InspectedRow:
    """A row and what was found: each finding is None where there was nothing to check, `why` says what is wrong."""

    candidate: Candidate
    document: str
    passage: str  # which rows are of one
    stands_alone: bool | None = None
    fits: bool | None = None
    agrees: bool | None = None
    known: bool | None = None
    copy: bool = False
    why: dict[str, str] = field(default_factory=dict)

    @property
    def evidence(self) -> str:
        """What its answer should rest on."""
        return self.candidate.piece.passage.text


def inspected(record: Record, columns: Mapping[str, Any], number: int) -> InspectedRow:
    """A row as it is to be looked at: its first question and answer, its evidence, and where it is from."""
    turns = {turn.role: turn.content for turn in reversed(record.messages)}  # the first of each
    question, answer = turns.get("user", ""), turns.get("assistant", record.text)
    evidence = next((str(columns[name]) for name in EVIDENCE if isinstance(columns.get(name), str)), "")
    document = str(columns.get("source") or record.source.rpartition(":")[0] or record.source)
    heading = str(columns.get("heading") or "")
    where = [columns[name] for name in ("passage_number", "heading", "page") if columns.get(name) is not None][:1]
    passage = f"{document}\x00{where[0]}" if where and columns.get("source") else f"{number}"
    piece = Piece(document, "", Passage(record.source, number, evidence, heading), file=document)
    candidate = Candidate(piece, record, evidence, "model", question if turns else "", answer)
    return InspectedRow(candidate, document, passage)


def index_of(rows: Sequence[InspectedRow]) -> tuple[TextIndex, dict[str, int]]:
    """What the rows of each passage say, as texts, and the place of each passage's."""
    texts: dict[str, list[str]] = {}
    for row in rows:
        own = row.candidate
        said = f"{row.evidence}\n{own.answer}" if row.evidence else f"{own.question}\n{own.answer}"
        texts.setdefault(row.passage, []).append(said)
    headings = {row.passage: row.candidate.piece.passage.heading for row in rows}
    passages = [
        IndexedText("\n".join(said), heading=headings[passage], records=True) for passage, said in texts.items()
    ]
    return TextIndex(passages, often=False), {passage: place for place, passage in enumerate(texts)}


def inspect(rows: Sequence[InspectedRow], index: TextIndex, places: Mapping[str, int]) -> Iterator[InspectedRow]:
    """Fill in what can be told without a model; each row as it is done."""
    near = NearDuplicates(SAME)
    for number, row in enumerate(rows):
        own = row.candidate
        row.copy = near.original(f"{number}", f"{own.question}\n{own.answer}") is not None
        if own.question:
            ambiguity = index.ambiguity(own.question, places[row.passage])
            row.stands_alone = ambiguity is None
            if ambiguity is not None:
                row.why["stands_alone"] = f"{ambiguity.fault} or rows"
        if own.question and row.evidence and own.answer:
            answer = agreement.conclusion(own.answer)
            misfit = fitting.problem(own.question, answer, row.evidence)
            row.fits = misfit is None
            row.why |= {"fits": misfit} if misfit else {}
            share = agreement.grounded(answer, own.question, row.evidence, index.weight)
            row.agrees = share >= agreement.GROUNDED
            if not row.agrees:
                row.why["agrees"] = f"only {share:.0%} of what its answer says is in its evidence"
        yield row


def counts(rows: Sequence[InspectedRow]) -> dict[str, Any]:
    """How many rows there are, and of those that could be checked how many passed; near copies are such of others."""
    numbers: dict[str, Any] = {"rows": len(rows), "near_copies": sum(row.copy for row in rows)}
    for name in ("stands_alone", "fits", "agrees", "known"):
        findings = [finding for row in rows if (finding := getattr(row, name)) is not None]
        numbers[name] = {"checked": len(findings), "rows": sum(findings)}
    return numbers


def by_document(rows: Sequence[InspectedRow]) -> list[dict[str, Any]]:
    """The same of each document, those with the most rows first."""
    documents: dict[str, list[InspectedRow]] = {}
    for row in rows:
        documents.setdefault(row.document, []).append(row)
    ordered = sorted(documents.items(), key=lambda item: -len(item[1]))
    return [{"document": name, **counts(own)} for name, own in ordered]
