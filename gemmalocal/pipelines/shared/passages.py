"""Sources to pieces: documents are read and cut into passages, or rows are read as they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from gemmalocal.data.dataset import Records
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.documents import splits
from gemmalocal.documents.document import Document, Passage
from gemmalocal.documents.duplicates import NearDuplicates
from gemmalocal.documents.find import find_documents, printable
from gemmalocal.documents.isolated import IsolatedReader, Items
from gemmalocal.documents.passages import Cutter
from gemmalocal.errors import DocumentError, GemmalocalError
from gemmalocal.jobs.events import Notice, Read
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.pipelines.shared.background import Teller
from gemmalocal.recipe.data_spec import DataSpec
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.records import Rejected
from gemmalocal.synthesis.piece import PassageKey, Piece, passage_key
from gemmalocal.workspace.datasets import REFUSED, WARNINGS

NAMED = 5  # reasons, and refused sources, that are told one by one
TOLD_WARNINGS = 5  # warnings of one source that are told
MANY = 100  # near copies of which it is told before there are more, if most passages are
KEEP = "--near-copies keep (near_copies: keep in a file) keeps them"


@dataclass
class GatheredPieces:
    """The pieces read from one source or from all, and what became of the sources."""

    pieces: list[Piece] = field(default_factory=list)
    documents: int = 0  # files, and rows of files of rows
    refused: list[tuple[str, str]] = field(default_factory=list)  # source, and why, as sentences
    warnings: list[tuple[str, str]] = field(default_factory=list)
    same: list[str] = field(default_factory=list)  # of documents that were read before: the first of each
    copies: int = 0  # passages that nearly repeat one before, and were left out
    alike: list[tuple[PassageKey, PassageKey]] = field(default_factory=list)  # those that were kept, by their places

    def add(self, source_pieces: GatheredPieces) -> None:
        """Take in what came of one source."""
        self.pieces += source_pieces.pieces
        self.documents += source_pieces.documents
        self.refused += source_pieces.refused
        self.warnings += source_pieces.warnings
        self.same += source_pieces.same
        self.copies += source_pieces.copies
        self.alike += source_pieces.alike


class Reading:
    """Sources that are read beside us from now on; to be closed, or used in a `with`."""

    def __init__(self, preparation: Preparation) -> None:
        password = os.environ.get(preparation.password_env) if preparation.password_env else None
        self.reader = IsolatedReader(password)
        self.documents = find_documents(preparation.sources) if preparation.task != "rewrite" else []
        self.reader.begin(self.documents)

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()


def gather(
    preparation: Preparation, tokenizer: Tokenizer, tell: Teller, started_reading: Reading | None = None
) -> GatheredPieces:
    """Read all sources; what cannot be read is refused, the others are read all the same.

    A `started_reading`, as one begun while the tokenizer was loaded, goes on.
    """
    gathered = GatheredPieces()
    if preparation.task == "rewrite":
        _rows(preparation, gathered, tell)
        return gathered
    with started_reading or Reading(preparation) as reading:
        _documents(preparation, reading, tokenizer, gathered, tell)
    return gathered


def _documents(
    preparation: Preparation, reading: Reading, tokenizer: Tokenizer, gathered: GatheredPieces, tell: Teller
) -> None:
    documents = reading.documents
    cutting = _Cutting(Cutter(tokenizer.encoder, preparation.passage_tokens), preparation.near_copies == "keep", tell)
    read_count = 0

    def progress() -> None:
        tell("documents", read_count, len(documents))  # which is when a stop is noticed

    reading.reader.idle = progress
    for name, contents in reading.reader.read_all(documents):
        source_pieces = GatheredPieces()
        for document in _read(name, contents, source_pieces):
            progress()
            cutting.add(document, printable(name), source_pieces)
            if gathered.documents + source_pieces.documents == preparation.max_documents:
                break
        gathered.add(source_pieces)
        tell.say(_read_event(printable(name), source_pieces))
        if gathered.documents == preparation.max_documents:
            return
        read_count += 1
    tell("documents", len(documents), len(documents))


class _Cutting:
    """Documents to pieces, without what came before; that most of them are left out is told as soon as it shows."""

    def __init__(self, cut: Cutter, keep: bool, tell: Teller) -> None:
        self._cut, self._keep, self._tell = cut, keep, tell
        self._near = NearDuplicates()
        self._seen = dict[str, str]()  # content, and the document that had it first
        self._places = dict[str, PassageKey]()  # of the passages that were kept, by their names
        self._passages, self._copies = 0, 0

    def add(self, document: Document, file: str, source_pieces: GatheredPieces) -> None:
        """Add the pieces of a document of `file` to that file's `source_pieces`, or what it is a copy of."""
        content = _content(document)
        if (first_source := self._seen.setdefault(content, document.source)) != document.source:
            source_pieces.same.append(first_source)
            return
        source_pieces.documents += 1
        records = document.source != file
        for passage in self._cut(document):
            self._passages += 1
            piece = Piece(content, document.title, passage, file=file)
            if self._taken(piece, records, source_pieces):
                source_pieces.pieces.append(piece)
            else:
                source_pieces.copies += 1
                self._left_out()

    def _taken(self, piece: Piece, records: bool, source_pieces: GatheredPieces) -> bool:
        """Whether a piece is not left out as a near copy; of one that is kept it is noted what it is like."""
        passage = piece.passage
        name = f"{passage.source}#{passage.number}"
        if not self._keep:
            return self._near.original(name, passage.text, records) is None
        self._places[name] = passage_key(piece)
        alike = self._near.all_alike(name, passage.text, records)
        source_pieces.alike += [(self._places[other], passage_key(piece)) for other in alike]
        return True

    def _left_out(self) -> None:
        """One more near copy."""
        self._copies += 1
        if self._copies == MANY and 2 * self._copies > self._passages:
            sentence = f"{self._copies} of the first {counted(self._passages, 'passage')} nearly repeat others"
            self._tell.say(Notice(f"{sentence} and are left out, as more may be; {KEEP}"))


def _read(name: str, contents: Items, source_pieces: GatheredPieces) -> Iterator[Document]:
    """The document at a place, or of a file of rows each; what cannot be read is noted in `source_pieces`."""
    try:
        for document in contents:
            if isinstance(document, Rejected):
                source_pieces.refused.append((document.source, f"The row {document.reason}."))
                continue
            source_pieces.warnings += [(document.source, warning) for warning in document.warnings]
            yield document
    except DocumentError as error:
        source_pieces.refused.append((printable(name), f"{error.message} {error.hint}".strip()))


def _read_event(source: str, source_pieces: GatheredPieces) -> Read:
    """What came of one source, as an event: rows that were refused beside others are a warning."""
    warnings = [warning for _, warning in source_pieces.warnings[:TOLD_WARNINGS]]
    if (untold := len(source_pieces.warnings) - TOLD_WARNINGS) > 0:
        warnings.append(f"{untold} more {plural(untold, 'warning')}.")
    reason = source_pieces.refused[0][1] if source_pieces.refused else ""
    if not source_pieces.documents:
        return Read(
            source, 0, reason or (f"It is the same as {source_pieces.same[0]}." if source_pieces.same else ""), warnings
        )
    if reason:
        warnings.append(f"{counted(len(source_pieces.refused), 'row was', 'rows were')} refused, the first: {reason}")
    return Read(source, len(source_pieces.pieces), warnings=warnings)


def _content(document: Document) -> str:
    digest = hashlib.sha256()
    for section in document.sections:
        digest.update(f"{section.heading}\x00{section.text}\x01".encode("utf-8", "replace"))
    return digest.hexdigest()


def _rows(preparation: Preparation, gathered: GatheredPieces, tell: Teller) -> None:
    for number, source in enumerate(preparation.sources):
        tell("rows", number, len(preparation.sources))
        before, name = len(gathered.pieces), printable(source)
        try:
            records = Records(DataSpec(path=source), side=splits.TRAIN)
            gathered.pieces += _of_rows(records, name)
        except GemmalocalError as error:
            gathered.refused.append((name, printable(f"{error.message} {error.hint}".strip())))
            tell.say(Read(name, 0, gathered.refused[-1][1]))
            continue
        gathered.documents += 1
        notices = [printable(notice) for notice in (*records.notes(), *records.findings.notices())]
        gathered.warnings += [(name, notice) for notice in notices]
        tell.say(Read(name, len(gathered.pieces) - before, warnings=notices))
    tell("rows", len(preparation.sources), len(preparation.sources))


def _of_rows(records: Records, file: str) -> Iterator[Piece]:
    """Rows with one question and one reply: only those can be said in other words."""
    for record in records:
        record = replace(record, source=printable(record.source))
        roles = [message.role for message in record.messages]
        if roles in (["user", "assistant"], ["system", "user", "assistant"]):
            yield Piece(f"{record.key:016x}", "", Passage(record.source, 0, record.reply), record, file)
        else:
            records.findings.reject(Rejected(record.source, "must have one question and one reply"))


def of_sources(gathered: GatheredPieces) -> Iterator[str]:
    """What became of all sources, as sentences."""
    for source, reason in gathered.refused[:NAMED]:
        yield f"refused: {reason if source in reason else f'{source}: {reason}'}"
    if (more := len(gathered.refused) - NAMED) > 0:
        yield f"refused: {more} more, see {REFUSED}"
    for source, warning in gathered.warnings[:NAMED]:
        yield f"{source}: {warning}"
    if (more := len(gathered.warnings) - NAMED) > 0:
        yield f"{more} more {plural(more, 'warning')}, see {WARNINGS}"
    if gathered.same:
        one, several = "document is the same as another and was", "documents are the same as others and were"
        yield f"{counted(len(gathered.same), one, several)} left out"
    if gathered.copies:
        one, several = "passage nearly repeats another and was", "passages nearly repeat others and were"
        yield f"{counted(gathered.copies, one, several)} left out; {KEEP}"
    yield f"{counted(len(gathered.pieces), 'passage')} of {counted(gathered.documents, 'document')}"
