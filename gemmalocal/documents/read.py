"""A file, or an address, to a document: its kind to a reader, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from gemmalocal.documents import clean, hub, packed, quality, tables, youtube
from gemmalocal.documents.document import Content, Document, Section, Unreadable
from gemmalocal.documents.find import printable
from gemmalocal.documents.kinds import MAILBOX, READERS, ROWS, is_same_kind, kind
from gemmalocal.documents.strict import transitional
from gemmalocal.documents.text import LARGEST_TEXT
from gemmalocal.errors import DocumentError
from gemmalocal.records import Rejected

DocumentReader = Callable[[Path, str | None], Content]
IN_MEMORY = (
    "text.",
    "plain_text.",
    "html.",
    "outlines.",
    "tex.",
    "rtf.",
    "notebook.",
    "subtitles.",
    "opendocument.read_flat",
)


def read(source: str, password: str | None = None) -> Document:
    """What a person wrote, cleaned, with warnings where the text looks wrong; rows are a section each.

    `source` is a file (also a .gz of one) or a YouTube address. Raises `DocumentError` that says what it is that
    cannot be read, and what helps.
    """
    with _refusals(source):
        if youtube.is_address(source):
            return _document(source, youtube.read_transcript(source))
        with _opened(source) as (file, suffix):
            return _whole(source, file, suffix, password)


def is_remote(source: str) -> bool:
    """Does a source name something of the network, and no file?"""
    return source.startswith(hub.PREFIX) or youtube.is_address(source)


def read_each(source: str, password: str | None = None) -> Iterator[Document | Rejected]:
    """As `read`, but each row of a file of rows (of any size) is a document, called "rows.jsonl:3".

    So is each message of a mailbox, and each row of a Hub dataset, `hf:owner/name[:split]`.
    """
    if source.startswith(hub.PREFIX):
        with _refusals(source):
            name, table = hub.load(source)
            numbered = ((f"{name}#{number}", dict(row)) for number, row in enumerate(table, 1))
            yield from _each(source, name, tables.of_rows(numbered))
        return
    if youtube.is_address(source):
        yield read(source)
        return
    with _refusals(source), _opened(source) as (file, suffix):
        if suffix in ROWS:
            yield from _each(source, file.name, tables.contents(file))
        elif suffix == MAILBOX:
            from gemmalocal.documents import mail

            yield from _each(source, file.name, mail.messages(file))
        else:
            yield _whole(source, file, suffix, password)


def _whole(source: str, file: Path, suffix: str, password: str | None) -> Document:
    """A file as one document; a warning tells if its name says something else than what it is."""
    _fits(file, suffix)
    document = _document(source, _reader(suffix)(file, password))
    named = Path(source.removesuffix(".gz")).suffix.lower()
    if is_same_kind(suffix, named):
        return document
    warning = f"It was read as '{suffix}', which it is by its content; its name says '{named}'."
    return replace(document, warnings=(warning, *document.warnings))


def _each(source: str, file: str, rows: Iterator[tuple[str, Content] | Rejected]) -> Iterator[Document | Rejected]:
    """Rows as documents; in their places the source is named in full instead of its `file`."""
    for row in rows:
        row_source = row.source if isinstance(row, Rejected) else row[0]
        name = printable(source + row_source.removeprefix(file))
        if isinstance(row, Rejected):
            yield replace(row, source=name)
            continue
        try:
            yield _document(name, row[1])
        except Unreadable as problem:
            yield Rejected(name, str(problem))


@contextmanager
def _refusals(source: str) -> Iterator[None]:
    """Whatever goes wrong within is a `DocumentError` about `source`."""
    source = printable(source)
    try:
        yield
    except Unreadable as problem:
        raise DocumentError(f"{source} {problem}.", problem.hint) from problem
    except OSError as error:
        raise DocumentError(
            f"{source} cannot be read: {error.strerror or error}.", "Check that it is whole, and that you may read it."
        ) from error
    except ImportError as error:  # the file may be whole
        raise DocumentError(
            f"{source} cannot be read: a library is missing ({error.msg}).",
            "Bring pip up to date, and install gemmalocal again.",
        ) from error
    except MemoryError as error:
        raise DocumentError(f"{source} takes more memory to read than there is.", packed.SMALLER) from error
    except RecursionError as error:
        raise DocumentError(f"{source} cannot be read: what it holds is nested too deeply.", "Leave it out.") from error
    except Exception as error:  # libraries raise what they like on broken files; each means that this one is
        why = f"{type(error).__name__}: {error}".splitlines()[0][:200].rstrip(": .")
        raise DocumentError(f"{source} is damaged ({why}).", "Fetch or save it again.") from error


@contextmanager
def _opened(source: str) -> Iterator[tuple[Path, str]]:
    """A file, out of its .gz, and its kind; raises `Unreadable` for what no reader needs to try."""
    path = Path(source)
    if not path.exists():
        raise Unreadable("is not there", "Check its name.")
    if not path.is_file():
        raise Unreadable("is not a file", "Name a file, or a folder that can be opened.")
    with packed.unpacked(path) as file:
        suffix = kind(file)
        with transitional(file, suffix) as usable:
            if suffix in ROWS and suffix != usable.suffix.lower():
                with packed.renamed(usable, suffix) as named:
                    yield named, suffix
            else:
                yield usable, suffix


def _fits(file: Path, suffix: str) -> None:
    """Raise `Unreadable` for a file that would fill the memory."""
    size = file.stat().st_size
    if size > packed.LARGEST:
        raise Unreadable(packed.TOO_LARGE, packed.SMALLER)
    if READERS.get(suffix, "").startswith(IN_MEMORY) and size > LARGEST_TEXT:
        raise Unreadable(f"is too large: more than {LARGEST_TEXT >> 20} MB of text", packed.SMALLER)


def _reader(suffix: str) -> DocumentReader:
    if suffix in ROWS:
        return tables.read_table
    module, _, name = READERS[suffix].partition(".")
    reader: DocumentReader = getattr(import_module(f"gemmalocal.documents.{module}"), name)
    return reader


def _document(source: str, content: Content) -> Document:
    """Clean what a reader found; raises `Unreadable` if nothing is left, or far too much is there."""
    if sum(len(part.text) for part in content.sections) > LARGEST_TEXT:
        raise Unreadable(f"gives too much text: more than {LARGEST_TEXT >> 20} million characters", packed.SMALLER)
    cleaned = (Section(clean.plain(part.text), _line(part.heading), part.page) for part in content.sections)
    sections = tuple(section for section in cleaned if section.text)
    if not sections:
        raise Unreadable("is empty: there is no text in it", "Leave it out.")
    title = _line(content.title) or printable(Path(source).stem)
    document = Document(printable(source), title, sections, content.warnings)
    return replace(document, warnings=(*content.warnings, *quality.warnings(document.text)))


def _line(text: str) -> str:
    return " ".join(clean.plain(text).split())
