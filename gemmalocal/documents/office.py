"""Word files: text, tables and notes through python-docx."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from gemmalocal.documents import diagrams
from gemmalocal.documents.document import Content, Section, SectionBuilder, Unreadable, table
from gemmalocal.documents.packed import check
from gemmalocal.documents.word_numbers import HOPS, W
from gemmalocal.documents.word_text import COMPATIBLE, Words

RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
PICTURE = "{http://schemas.openxmlformats.org/drawingml/2006/main}blip"
WITHIN = tuple(f"{W}{name}" for name in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag"))
STOCK = ("", "Word Document", "Presentation", "PowerPoint Presentation")  # titles that templates bring
HEADING = re.compile(r"Heading ([1-9])$")
DEEPEST = 5  # documents that are put into each other


def read_docx(file: Path, password: str | None = None) -> Content:
    """Paragraphs, tables, text boxes, content controls, footnotes and comments; headers and footers are left out."""
    check(file)
    word = _opened(str(file))
    content = _OfficeReader(word).content()
    if not content.sections:
        raise empty([word.element.body])
    return content


def _opened(file: str | BytesIO) -> Any:
    """A document by python-docx, which is kept from reading files that were put into it as parts of its own."""
    import docx
    from docx.opc.part import Part, PartFactory

    def part_of(_: str, relation: str) -> Any:
        return Part if relation.endswith("/aFChunk") else None

    PartFactory.part_class_selector = part_of
    return docx.Document(file)


class _OfficeReader:
    """Reads one document, and those that are put into it."""

    def __init__(self, word: Any, depth: int = 0) -> None:
        self.word, self.depth = word, depth
        self.words = Words(word)
        self.sections = SectionBuilder()
        self.warnings: list[str] = []
        self._listed = False  # the last block is an item of a list

    def content(self) -> Content:
        for element in _blocks(self.word.element.body):
            self._block(element)
        named = title(self.word.core_properties.title, self.sections.title)
        for name, notes in self._notes():
            self.sections.heading(1, name, "")
            for note in notes:
                self.sections.add(note)
        self.sections.end()
        return Content(named, self.sections.collected, (*self.words.hidden.warnings, *dict.fromkeys(self.warnings)))

    def _block(self, element: Any) -> None:
        if element.tag == f"{W}altChunk":
            self._included(element.get(RELATION, ""))
        elif element.tag == f"{W}p":
            self._paragraph(element)
        else:
            self.sections.add(self._table(element))
        if element.tag != f"{W}p":
            self._listed = False

    def _paragraph(self, paragraph: Any) -> None:
        mark, text = self._line(paragraph)
        level = _level(paragraph, self.word)
        if level:
            self.sections.heading(level, f"{mark.strip()} {text}" if text.strip() else "")
        elif text.strip() and mark and self._listed:
            self.sections.line(mark + text)
        else:
            self.sections.add(mark + text if text.strip() else "")
        if text.strip():
            self._listed = bool(mark) and not level
        for box in paragraph.iter(f"{W}txbxContent"):
            if not any(above.tag == f"{COMPATIBLE}Fallback" for above in box.iterancestors()):
                self.sections.add("\n".join(self._table(block) for block in _blocks(box)))
        for part in diagrams.parts(paragraph, self.word.part):
            self.sections.add(diagrams.text(part))

    def _line(self, paragraph: Any) -> tuple[str, str]:
        """The number or bullet of a paragraph, and its text; an empty one is not counted."""
        text = self.words.of(paragraph) if paragraph.tag == f"{W}p" else ""
        return (self.words.numbers.before(paragraph) if text.strip() else ""), text

    def _table(self, element: Any) -> str:
        """A table, a line a row; a paragraph is its words. Tables within a cell are part of its text."""
        if element.tag != f"{W}tbl":
            return "".join(self._line(element))
        rows = element.iter(f"{W}tr")
        own = (row for row in rows if next(row.iterancestors(f"{W}tbl")) is element and not _is_deleted(row))
        return table([[self._cell(cell) for cell in _cells(row)] for row in own])

    def _cell(self, cell: Any) -> str:
        return " ".join(filter(None, (self._table(block) for block in _blocks(cell))))

    def _notes(self) -> Iterator[tuple[str, list[str]]]:
        """Footnotes, endnotes and comments, each kind with its name; the marks are those in the text."""
        from docx.oxml import parse_xml

        for relation in self.word.part.rels.values():
            name = relation.reltype.rpartition("/")[2].capitalize()
            if relation.is_external or name not in ("Footnotes", "Endnotes", "Comments"):
                continue
            marks = self.words.notes.get(name, {})
            order = list(marks)
            root = parse_xml(relation.target_part.blob)
            notes = sorted(root, key=lambda note: _note_order(order, note.get(f"{W}id", "")))
            texts = ((marks.get(note.get(f"{W}id", "")), self._note(note)) for note in notes)
            if numbered := [f"[{mark}] {text}" if mark else text for mark, text in texts if text]:
                yield name, numbered

    def _note(self, note: Any) -> str:
        return "\n".join(self._table(block) for block in _blocks(note)).strip()

    def _included(self, relation: str) -> None:
        """A file that was put into the document as it is (altChunk)."""
        part = self.word.part.rels[relation].target_part if relation in self.word.part.rels else None
        try:
            for section in () if part is None else self._of_part(part.content_type, part.blob):
                self.sections.add(section.text)
        except Unreadable as problem:
            self.warnings.append(f"A document inside the document {problem}.")

    def _of_part(self, kind: str, data: bytes) -> Sequence[Section]:
        from gemmalocal.documents import html, text

        if "wordprocessingml" in kind and self.depth < DEEPEST:
            return _OfficeReader(_opened(BytesIO(data)), self.depth + 1).content().sections
        if "html" in kind:
            return html.body(text.decode(data)).sections
        if kind.startswith("text/plain"):
            return [Section(text.decode(data))]
        raise Unreadable(f"is not read: it is of the kind {kind}")


def _blocks(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables, formulas and included files, also those within content controls and the like."""
    for element in parent:
        if element.tag in (f"{W}p", f"{W}tbl", f"{W}altChunk"):
            yield element
        elif element.tag in WITHIN:
            yield from _blocks(element)


def _level(paragraph: Any, word: Any) -> int:
    """The level of a heading, counted from 1; 0 for any other paragraph."""
    style = word.styles.get_by_id(paragraph.style, 1) if paragraph.style else None  # 1: of paragraphs
    for _ in range(HOPS):
        if style is None:
            break
        if style.name == "Title":
            return 1
        if match := HEADING.match(style.name or ""):
            return int(match[1])
        style = style.base_style
    return 0


def _is_deleted(row: Any) -> bool:
    return row.find(f"{W}trPr/{W}del") is not None


def _cells(row: Any) -> Iterator[Any]:
    for cell in row.iter(f"{W}tc"):
        if next(cell.iterancestors(f"{W}tr")) is row:
            yield cell


def _note_order(order: Sequence[str], note: str) -> int:
    return order.index(note) if note in order else len(order)


def title(stored: str, first: str) -> str:
    """The title in a file's properties, or the first heading where that says nothing."""
    return first if stored.strip() in STOCK else stored


def empty(parts: Sequence[Any]) -> Unreadable:
    """Why there is no text: only pictures, or nothing at all."""
    if any(True for part in parts for _ in part.iter(PICTURE)):
        return Unreadable("holds only images, no text", "Save it as PDF and recognise its text (ocrmypdf).")
    return Unreadable("is empty: there is no text in it", "Leave it out.")
