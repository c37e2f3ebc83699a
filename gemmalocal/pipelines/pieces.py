"""Sources to pieces: documents are read and cut into passages, or rows are read as they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gemmalocal.data.dataset import Records
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.documents.document import Document, Passage
from gemmalocal.documents.duplicates import NearDuplicates
from gemmalocal.documents.find import find, shown
from gemmalocal.documents.passages import Cutter
from gemmalocal.documents.read import read_each
from gemmalocal.errors import GemmalocalError
from gemmalocal.preparation import Preparation
from gemmalocal.recipe import DataSpec
from gemmalocal.records import Rejected
from gemmalocal.synthesis.piece import Piece

Tell = Callable[[str, int, int], None]


@dataclass
class Gathered:
    """The pieces, and what became of their sources."""

    pieces: list[Piece] = field(default_factory=list)
    documents: int = 0  # files, and rows of files of rows
    refused: list[tuple[str, str]] = field(default_factory=list)  # source, and why, as sentences
    warnings: list[tuple[str, str]] = field(default_factory=list)
    same: int = 0  # documents that are the same as one before
    copies: int = 0  # passages that nearly repeat one before


def gather(wanted: Preparation, tokenizer: Tokenizer, tell: Tell) -> Gathered:
    """Read all sources; what cannot be read is refused, the others are read all the same."""
    found = Gathered()
    if wanted.task == "rewrite":
        _rows(wanted, found, tell)
    else:
        _documents(wanted, tokenizer, found, tell)
    return found


def _documents(wanted: Preparation, tokenizer: Tokenizer, found: Gathered, tell: Tell) -> None:
    password = os.environ.get(wanted.password_env) if wanted.password_env else None
    places = find(wanted.sources)
    cut, near = Cutter(tokenizer.encoder, wanted.passage_tokens), NearDuplicates()
    seen = set[str]()
    for number, place in enumerate(places):
        tell("documents", number, len(places))
        for document in _read(place, password, found):
            tell("documents", number, len(places))  # a stop is noticed after each row
            content = _content(document)
            if content in seen:
                found.same += 1
                continue
            seen.add(content)
            found.documents += 1
            for passage in cut(document):
                if near.original(f"{document.source}#{passage.number}", passage.text) is None:
                    found.pieces.append(Piece(content, document.title, passage))
                else:
                    found.copies += 1
            if found.documents == wanted.max_documents:
                return
    tell("documents", len(places), len(places))


def _read(place: str, password: str | None, found: Gathered) -> Iterator[Document]:
    """The document at a place, or of a file of rows each; what cannot be read is noted in `found`."""
    try:
        for document in read_each(place, password):
            if isinstance(document, Rejected):
                found.refused.append((document.source, f"The row {document.reason}."))
                continue
            found.warnings += [(document.source, warning) for warning in document.warnings]
            yield document
    except GemmalocalError as error:
        found.refused.append((shown(place), f"{error.message} {error.hint}".strip()))


def _content(document: Document) -> str:
    whole = hashlib.sha256()
    for section in document.sections:
        whole.update(f"{section.heading}\x00{section.text}\x01".encode("utf-8", "replace"))
    return whole.hexdigest()


def _rows(wanted: Preparation, found: Gathered, tell: Tell) -> None:
    for number, source in enumerate(wanted.sources):
        tell("rows", number, len(wanted.sources))
        try:
            records = Records(DataSpec(path=source))
            found.pieces += _of_rows(records)
        except GemmalocalError as error:
            found.refused.append((source, f"{error.message} {error.hint}".strip()))
            continue
        found.documents += 1
        found.warnings += [(source, notice) for notice in records.findings.notices()]
    tell("rows", len(wanted.sources), len(wanted.sources))


def _of_rows(records: Records) -> Iterator[Piece]:
    """Rows with one question and one reply: only those can be said in other words."""
    for record in records:
        roles = [message.role for message in record.messages]
        if roles in (["user", "assistant"], ["system", "user", "assistant"]):
            yield Piece(f"{record.key:016x}", "", Passage(record.source, 0, record.reply), record)
        else:
            records.findings.reject(Rejected(record.source, "has not one question and one reply"))
