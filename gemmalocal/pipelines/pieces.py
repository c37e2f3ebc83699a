"""Sources to pieces: documents are read and cut into passages, or rows are read as they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gemmalocal.data.dataset import Records
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.documents.document import Document, Passage
from gemmalocal.documents.duplicates import NearDuplicates
from gemmalocal.documents.find import find
from gemmalocal.documents.passages import Cutter
from gemmalocal.documents.read import read
from gemmalocal.errors import GemmalocalError
from gemmalocal.events import Read
from gemmalocal.pipelines.beside import Teller
from gemmalocal.preparation import Preparation
from gemmalocal.recipe import DataSpec
from gemmalocal.records import Rejected
from gemmalocal.synthesis.piece import Piece


@dataclass
class Gathered:
    """The pieces, and what became of their sources."""

    pieces: list[Piece] = field(default_factory=list)
    documents: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)  # source, and why, as sentences
    warnings: list[tuple[str, str]] = field(default_factory=list)
    same: int = 0  # documents that are the same as one before
    copies: int = 0  # passages that nearly repeat one before


def gather(wanted: Preparation, tokenizer: Tokenizer, tell: Teller) -> Gathered:
    """Read all sources; what cannot be read is refused, the others are read all the same."""
    found = Gathered()
    if wanted.task == "rewrite":
        _rows(wanted, found, tell)
    else:
        _documents(wanted, tokenizer, found, tell)
    return found


def _documents(wanted: Preparation, tokenizer: Tokenizer, found: Gathered, tell: Teller) -> None:
    password = os.environ.get(wanted.password_env) if wanted.password_env else None
    places = find(wanted.sources)
    cut, near = Cutter(tokenizer.encoder, wanted.passage_tokens), NearDuplicates()
    seen = dict[str, str]()  # content, and the document that had it first
    for number, place in enumerate(places):
        if found.documents == wanted.max_documents:
            return
        tell("documents", number, len(places))
        try:
            document = read(place, password)
        except GemmalocalError as error:
            found.refused.append((place, f"{error.message} {error.hint}".strip()))
            tell.say(Read(place, 0, found.refused[-1][1]))
            continue
        found.warnings += [(place, warning) for warning in document.warnings]
        content = _content(document)
        if content in seen:
            found.same += 1
            tell.say(Read(place, 0, f"It is the same as {seen[content]}."))
            continue
        seen[content] = place
        found.documents += 1
        before = len(found.pieces)
        title = document.title or Path(place).stem
        for passage in cut(document):
            if near.original(f"{place}#{passage.number}", passage.text) is None:
                found.pieces.append(Piece(content, title, passage))
            else:
                found.copies += 1
        tell.say(Read(place, len(found.pieces) - before, warnings=list(document.warnings)))
    tell("documents", len(places), len(places))


def _content(document: Document) -> str:
    whole = hashlib.sha256()
    for section in document.sections:
        whole.update(f"{section.heading}\x00{section.text}\x01".encode("utf-8", "replace"))
    return whole.hexdigest()


def _rows(wanted: Preparation, found: Gathered, tell: Teller) -> None:
    for number, source in enumerate(wanted.sources):
        tell("rows", number, len(wanted.sources))
        before = len(found.pieces)
        try:
            records = Records(DataSpec(path=source))
            found.pieces += _of_rows(records)
        except GemmalocalError as error:
            found.refused.append((source, f"{error.message} {error.hint}".strip()))
            tell.say(Read(source, 0, found.refused[-1][1]))
            continue
        found.documents += 1
        notices = records.findings.notices()
        found.warnings += [(source, notice) for notice in notices]
        tell.say(Read(source, len(found.pieces) - before, warnings=notices))
    tell("rows", len(wanted.sources), len(wanted.sources))


def _of_rows(records: Records) -> Iterator[Piece]:
    """Rows with one question and one reply: only those can be said in other words."""
    for record in records:
        roles = [message.role for message in record.messages]
        if roles in (["user", "assistant"], ["system", "user", "assistant"]):
            yield Piece(f"{record.key:016x}", "", Passage(record.source, 0, record.reply), record)
        else:
            records.findings.reject(Rejected(record.source, "has not one question and one reply"))
