"""A file, or an address, to a document: its kind to a reader, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from gemmalocal.documents import clean, hub, packed, quality, rows, tables, youtube
from gemmalocal.documents.document import Content, Document, Section, Unreadable
from gemmalocal.documents.find import shown
from gemmalocal.documents.text import LARGEST_TEXT
from gemmalocal.errors import DocumentError
from gemmalocal.records import Rejected

Reader = Callable[[Path, str | None], Content]
OLE, PDF = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"%PDF-"  # how old Office files, and encrypted new ones, begin

READERS = {  # suffix: module and function, imported when the first such file is met
    ".pdf": "pdf.read_pdf",
    ".docx": "office.read_docx",
    ".docm": "office.read_docx",
    ".pptx": "slides.read_pptx",
    ".pptm": "slides.read_pptx",
    ".html": "html.read_html",
    ".htm": "html.read_html",
    ".xhtml": "html.read_html",
    ".epub": "epub.read_epub",
    ".md": "text.read_markdown",
    ".markdown": "text.read_markdown",
    ".txt": "text.read_text",
    ".text": "text.read_text",
    ".rst": "text.read_text",
    "": "text.read_text",
}
ROWS = frozenset(rows.READERS) - frozenset(READERS)
KINDS = sorted({*READERS, *ROWS} - {""})
IN_MEMORY = ("text.", "html.")
LEGACY = {
    ".doc": ".docx",
    ".dot": ".docx",
    ".rtf": ".docx",
    ".odt": ".docx",
    ".pages": ".docx",
    ".ppt": ".pptx",
    ".pps": ".pptx",
    ".odp": ".pptx",
    ".key": ".pptx",
    ".xls": ".csv",
    ".xlsx": ".csv",
    ".ods": ".csv",
    ".numbers": ".csv",
}


def read(source: str, password: str | None = None) -> Document:
    """What a person wrote, cleaned, with warnings where the text looks wrong; rows are a section each.

    `source` is a file (also a .gz of one) or a YouTube address. Raises `DocumentError` that says what it is that
    cannot be read, and what helps.
    """
    with _told(source):
        if youtube.is_address(source):
            return _document(source, youtube.read_transcript(source))
        with _opened(source) as (file, kind):
            _fits(file, kind)
            return _document(source, _reader(kind)(file, password))


def is_remote(source: str) -> bool:
    """Does a source name something of the network, and no file?"""
    return source.startswith(hub.PREFIX) or youtube.is_address(source)


def read_each(source: str, password: str | None = None) -> Iterator[Document | Rejected]:
    """As `read`, but each row of a file of rows (of any size) is a document, called "rows.jsonl:3".

    So is each row of a Hub dataset, `hf:owner/name[:split]`.
    """
    if source.startswith(hub.PREFIX):
        with _told(source):
            name, table = hub.load(source)
            numbered = ((f"{name}#{number}", dict(row)) for number, row in enumerate(table, 1))
            yield from _each(source, name, tables.of_rows(numbered))
        return
    if Path(source.removesuffix(".gz")).suffix.lower() not in ROWS:
        yield read(source, password)
        return
    with _told(source), _opened(source) as (file, _):
        yield from _each(source, file.name, tables.contents(file))


def _each(source: str, file: str, rows: Iterator[tuple[str, Content] | Rejected]) -> Iterator[Document | Rejected]:
    """Rows as documents; in their places the source is named in full instead of its `file`."""
    for row in rows:
        place = row.source if isinstance(row, Rejected) else row[0]
        name = shown(source + place.removeprefix(file))
        if isinstance(row, Rejected):
            yield replace(row, source=name)
            continue
        try:
            yield _document(name, row[1])
        except Unreadable as problem:
            yield Rejected(name, str(problem))


@contextmanager
def _told(source: str) -> Iterator[None]:
    """Whatever goes wrong within is a `DocumentError` about `source`."""
    source = shown(source)
    try:
        yield
    except Unreadable as problem:
        raise DocumentError(f"{source} {problem}.", problem.hint) from problem
    except OSError as error:
        raise DocumentError(
            f"{source} cannot be read: {error.strerror or error}.", "Check that it is whole, and yours."
        ) from error
    except ImportError as error:  # the file may be whole
        raise DocumentError(
            f"{source} cannot be read: a library is missing ({error.msg}).",
            "Bring pip up to date, and install gemmalocal again.",
        ) from error
    except MemoryError as error:
        raise DocumentError(f"{source} takes more memory to read than there is.", packed.SMALLER) from error
    except RecursionError as error:
        raise DocumentError(f"{source} cannot be read: what it holds is nested too deep.", "Leave it out.") from error
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
        yield file, _kind(file)


def _kind(file: Path) -> str:
    """The suffix whose reader takes a file: its own, unless its first bytes say that it lies."""
    kind = file.suffix.lower()
    with file.open("rb") as raw:
        start = raw.read(len(OLE))
    if not start:
        raise Unreadable("is empty", "Leave it out.")
    if start.startswith(PDF):
        return ".pdf"
    if kind in LEGACY:
        raise Unreadable(f"is of an old or closed kind: '{kind}'", f"Save it as {LEGACY[kind]} or PDF.")
    if kind not in READERS and kind not in ROWS:
        raise Unreadable(f"is of a kind that is not read: '{kind}'", f"These are: {', '.join(KINDS)}")
    if start == OLE:
        raise Unreadable("is encrypted, or of an old kind under a new name", "Save it anew, without a password.")
    return kind


def _fits(file: Path, kind: str) -> None:
    """Raise `Unreadable` for a file that would fill the memory."""
    size = file.stat().st_size
    if size > packed.LARGEST:
        raise Unreadable(packed.TOO_LARGE, packed.SMALLER)
    if READERS.get(kind, "").startswith(IN_MEMORY) and size > LARGEST_TEXT:
        raise Unreadable(f"is too large: more than {LARGEST_TEXT >> 20} MB of text", packed.SMALLER)


def _reader(kind: str) -> Reader:
    if kind in ROWS:
        return tables.read_table
    module, _, name = READERS[kind].partition(".")
    reader: Reader = getattr(import_module(f"gemmalocal.documents.{module}"), name)
    return reader


def _document(source: str, content: Content) -> Document:
    """Clean what a reader found; raises `Unreadable` if nothing is left, or far too much is there."""
    if sum(len(part.text) for part in content.sections) > LARGEST_TEXT:
        raise Unreadable(f"gives too much text: more than {LARGEST_TEXT >> 20} million characters", packed.SMALLER)
    cleaned = (Section(clean.plain(part.text), _line(part.heading), part.page) for part in content.sections)
    sections = tuple(section for section in cleaned if section.text)
    if not sections:
        raise Unreadable("is empty: there is no text in it", "Leave it out.")
    title = _line(content.title) or shown(Path(source).stem)
    document = Document(shown(source), title, sections, content.warnings)
    return replace(document, warnings=(*content.warnings, *quality.warnings(document.text)))


def _line(text: str) -> str:
    return " ".join(clean.plain(text).split())
