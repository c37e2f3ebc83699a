"""Word and PowerPoint files: text, tables and notes through python-docx and python-pptx."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gemmalocal.documents.document import Content, Sections, Unreadable, table
from gemmalocal.documents.packed import check

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
COMPATIBLE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
PICTURE = "{http://schemas.openxmlformats.org/drawingml/2006/main}blip"
MARKS = {f"{W}tab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
ELSEWHERE = {f"{W}pPr", f"{W}txbxContent", f"{COMPATIBLE}Fallback", f"{W}rt"}  # not part of the line
STOCK = ("", "Word Document", "Presentation", "PowerPoint Presentation")  # titles that templates bring
HEADING = re.compile(r"Heading ([1-9])$")


def read_docx(file: Path, password: str | None = None) -> Content:
    """Paragraphs, tables, text boxes, content controls, footnotes and comments; headers and footers are left out."""
    import docx

    check(file)
    word = docx.Document(str(file))
    sections = Sections()
    for element in _blocks(word.element.body):
        if element.tag == f"{W}tbl":
            sections.add(_table(element))
            continue
        text = _words(element)
        if level := _level(element, word):
            sections.heading(level, text)
        else:
            sections.add(text)
        for box in element.iter(f"{W}txbxContent"):
            if not any(above.tag == f"{COMPATIBLE}Fallback" for above in box.iterancestors()):
                sections.add("\n".join(_table(block) for block in _blocks(box)))
    title = _title(word.core_properties.title, sections.title)
    for name, notes in _notes(word):
        sections.heading(1, name, "")
        for note in notes:
            sections.add(note)
    sections.end()
    if not sections.found:
        raise _empty([word.element.body])
    return Content(title, sections.found)


def _blocks(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables, also those within content controls and the like."""
    for element in parent:
        if element.tag in (f"{W}p", f"{W}tbl"):
            yield element
        elif element.tag in (f"{W}sdt", f"{W}sdtContent", f"{W}ins", f"{W}moveTo", f"{W}customXml", f"{W}smartTag"):
            yield from _blocks(element)


def _words(paragraph: Any) -> str:
    """What a paragraph shows: insertions count, deletions do not, text boxes are blocks of their own."""
    parts: list[str] = []
    todo = [paragraph]
    while todo:
        element = todo.pop()
        if element.tag == f"{W}t":
            parts.append(element.text or "")
        elif element.tag in MARKS:
            parts.append(MARKS[element.tag])
        elif element.tag not in ELSEWHERE:
            todo.extend(reversed(element))
    return "".join(parts)


def _level(paragraph: Any, word: Any) -> int:
    """The level of a heading, counted from 1; 0 for any other paragraph."""
    style = word.styles.get_by_id(paragraph.style, 1) if paragraph.style else None  # 1: of paragraphs
    while style is not None:
        if style.name == "Title":
            return 1
        if found := HEADING.match(style.name or ""):
            return int(found[1])
        style = style.base_style
    return 0


def _table(element: Any) -> str:
    """A table, a line a row; a paragraph is its words. Tables within a cell are part of its text."""
    if element.tag == f"{W}p":
        return _words(element)
    rows = element.iter(f"{W}tr")
    own = (row for row in rows if next(row.iterancestors(f"{W}tbl")) is element)
    return table([[_cell(cell) for cell in _cells(row)] for row in own])


def _cells(row: Any) -> Iterator[Any]:
    for cell in row.iter(f"{W}tc"):
        if next(cell.iterancestors(f"{W}tr")) is row:
            yield cell


def _cell(cell: Any) -> str:
    return " ".join(filter(None, (_table(block) for block in _blocks(cell))))


def _notes(word: Any) -> Iterator[tuple[str, list[str]]]:
    """Footnotes, endnotes and comments, each kind with its name."""
    from docx.oxml import parse_xml

    for relation in word.part.rels.values():
        name = relation.reltype.rpartition("/")[2].capitalize()
        if relation.is_external or name not in ("Footnotes", "Endnotes", "Comments"):
            continue
        root = parse_xml(relation.target_part.blob)
        notes = ("\n".join(_table(block) for block in _blocks(note)).strip() for note in root)
        if found := [note for note in notes if note]:
            yield name, found


def read_pptx(file: Path, password: str | None = None) -> Content:
    """A section a slide, its title as the heading: text, tables, charts' figures, groups, and the speaker's notes."""
    import pptx

    check(file)
    deck = pptx.Presentation(str(file))
    sections = Sections()
    named = ""  # what the first slide with a title is called
    for number, slide in enumerate(deck.slides, 1):
        sections.page = number
        title = slide.shapes.title.text_frame.text.strip() if slide.shapes.title is not None else ""
        named = named or title
        sections.heading(1, title or f"Slide {number}", "")
        for shape in slide.shapes:
            for text in _shape(shape):
                sections.add(text)
        if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None:
            sections.add(frame.text)
        sections.end()
    if not sections.found:
        raise _empty([slide.element for slide in deck.slides])
    return Content(_title(deck.core_properties.title, named), sections.found)


def _title(stored: str, first: str) -> str:
    """The title in a file's properties, or the first heading where that says nothing."""
    return first if stored.strip() in STOCK else stored


def _empty(parts: Sequence[Any]) -> Unreadable:
    """Why there is no text: only pictures, or nothing at all."""
    if any(True for part in parts for _ in part.iter(PICTURE)):
        return Unreadable("holds only images, no text", "Save it as PDF and recognise its text (ocrmypdf).")
    return Unreadable("is empty: there is no text in it", "Leave it out.")


def _shape(shape: Any) -> Iterator[str]:
    if hasattr(shape, "shapes"):
        for inner in shape.shapes:
            yield from _shape(inner)
    elif shape.has_text_frame:
        yield shape.text_frame.text.replace("\v", "\n")
    elif getattr(shape, "has_table", False):
        yield table([[cell.text for cell in row.cells if not cell.is_spanned] for row in shape.table.rows])
    elif getattr(shape, "has_chart", False):
        yield _chart(shape.chart)


def _chart(chart: Any) -> str:
    """A chart as a table: a column a series, a row a category."""
    title = chart.chart_title.text_frame.text if chart.has_title and chart.chart_title.has_text_frame else ""
    rows = [[title]] if title else []
    for plot in chart.plots:
        series = list(plot.series)
        rows.append(["", *(one.name for one in series)])
        for place, category in enumerate(plot.categories):
            values = (one.values[place] if place < len(one.values) else None for one in series)
            rows.append([str(category), *("" if value is None else f"{value:g}" for value in values)])
    return table(rows)
