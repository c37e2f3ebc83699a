"""How much of the documents is in the rows: passages with a row; numbers, names and definitions that a row has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gemmalocal.synthesis import context, ground
from gemmalocal.synthesis.language import sentences
from gemmalocal.synthesis.piece import Candidate, Piece
from gemmalocal.workspace.covered import FACTS

LISTED = 200  # passages without a row, and documents, that are named
BEGINS = 80  # letters of a passage that is named


@dataclass
class _Document:
    """One document: its passages with prose, those of them without a row, and its facts and which of them rows have."""

    source: str
    passages: int = 0
    without: list[Piece] = field(default_factory=list)
    facts: dict[str, tuple[int, int]] = field(default_factory=dict)  # by kind: in the document, and in its rows

    @property
    def with_row(self) -> int:
        return self.passages - len(self.without)


def coverage(pieces: Sequence[Piece], kept: Sequence[Candidate], reasons: Mapping[int, str]) -> dict[str, Any]:
    """What the rows cover, whole and by document, the least covered first, and which passages have no row.

    `reasons` are why a piece (by its `id`) has none. Lists are bounded; passages without prose are not counted.
    """
    rows = defaultdict[str, list[Candidate]](list)
    for candidate in kept:
        rows[candidate.piece.document].append(candidate)
    by_document = defaultdict[str, list[Piece]](list)
    for piece in pieces:
        by_document[piece.document].append(piece)
    documents = [_document(own, rows[name]) for name, own in by_document.items()]
    documents = sorted(documents, key=lambda document: (_share(document.with_row, document.passages), document.source))
    without = [piece for document in documents for piece in document.without]
    passages = sum(document.passages for document in documents)
    return {
        "passages": passages,
        "with_row": passages - len(without),
        "share": _share(passages - len(without), passages),
        **{fact: _sum(fact, documents) for fact in FACTS},
        "by_document": [_of_document(document) for document in documents[:LISTED]],
        "not_covered": [_place(piece, reasons.get(id(piece), "")) for piece in without[:LISTED]],
    }


def _document(pieces: Sequence[Piece], rows: Sequence[Candidate]) -> _Document:
    document = _Document(pieces[0].passage.source)
    have_row = {id(candidate.piece) for candidate in rows}
    prose = [piece for piece in pieces if sentences(piece.passage.text)]
    document.passages = len(prose)
    document.without = [piece for piece in prose if id(piece) not in have_row]
    words = context.vocabulary(pieces)
    numbers = set[str]().union(*(ground.numbers(piece.passage.text) for piece in pieces))
    told = "\n".join(turn.content for row in rows for turn in row.record.messages)
    told_numbers, told_text = ground.numbers(told), ground.normal(told)

    def told_terms(terms: Sequence[str]) -> tuple[int, int]:
        return len(terms), sum(ground.normal(term) in told_text for term in terms)

    document.facts = {
        "numbers": (len(numbers), len(numbers & told_numbers)),
        "names": told_terms(words.names),
        "definitions": told_terms(list(words.meanings)),
    }
    return document


def _of_document(document: _Document) -> dict[str, Any]:
    facts = {fact: {"in_document": whole, "in_rows": told} for fact, (whole, told) in document.facts.items()}
    counts = {"passages": document.passages, "with_row": document.with_row}
    return {"source": document.source, **counts, "share": _share(document.with_row, document.passages), **facts}


def _sum(fact: str, documents: Sequence[_Document]) -> dict[str, int]:
    counts = Counter[str]()
    for document in documents:
        counts["in_documents"] += document.facts[fact][0]
        counts["in_rows"] += document.facts[fact][1]
    return {name: counts[name] for name in ("in_documents", "in_rows")}


def _place(piece: Piece, reason: str) -> dict[str, Any]:
    passage = piece.passage
    text = " ".join(passage.text.split())
    begins = text if len(text) <= BEGINS else f"{text[:BEGINS].rsplit(' ', 1)[0]} ..."
    place = {
        "source": passage.source,
        "page": passage.page,
        "heading": passage.heading,
        "begins": begins,
        "why": reason,
    }
    return {key: value for key, value in place.items() if value not in (None, "")}


def _share(part: int, whole: int) -> float:
    return round(part / whole, 3) if whole else 1.0
