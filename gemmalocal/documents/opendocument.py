"""OpenDocument texts and slides (LibreOffice, Google Docs): their XML in order, as a person reads it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemmalocal.documents import safe_xml
from gemmalocal.documents.document import Content, SectionBuilder, Unreadable, table
from gemmalocal.documents.packed import check

SPACE = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}"
OFFICE, TEXT, TABLE, DRAW, SHOW = (SPACE % name for name in ("office", "text", "table", "drawing", "presentation"))
META = "{http://purl.org/dc/elements/1.1/}title"
SPACES = 200  # that one mark may stand for
LEFT_OUT = {
    f"{TEXT}tracked-changes", f"{OFFICE}annotation", f"{TEXT}hidden-text", f"{TEXT}note", f"{DRAW}frame",
    f"{TEXT}ruby-text", f"{DRAW}custom-shape",
}  # fmt: skip  # of a line: deleted text, remarks, and what is a block of its own


def read_text(file: Path, password: str | None = None) -> Content:
    """A text document, a section a heading; footnotes stand at the end."""
    return _text(*_opened(file))


def read_flat(file: Path, password: str | None = None) -> Content:
    """A text document that is one XML file."""
    root = safe_xml.parse(file.read_bytes())
    return _text(root, root)


def read_slides(file: Path, password: str | None = None) -> Content:
    """A section a slide, its title as the heading, and the speaker's notes."""
    content, meta = _opened(file)
    sections = SectionBuilder()
    for number, page in enumerate(content.iter(f"{DRAW}page"), 1):
        sections.page = number
        title = next((frame for frame in page if frame.get(f"{SHOW}class") == "title"), None)
        words = " ".join(_paragraphs(title)) if title is not None else ""
        sections.heading(1, words or f"Slide {number}", "")
        for shape in page:
            if shape.tag == f"{DRAW}frame" and (grid := shape.find(f"{TABLE}table")) is not None:
                sections.add(_table(grid))
            else:
                sections.add("\n".join(_paragraphs(shape)))
        sections.end()
    return _content(sections, meta)


def _opened(file: Path) -> tuple[Any, Any]:
    """The trees of a file's content and of what it says of itself."""
    check(file)
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if "META-INF/manifest.xml" in names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise Unreadable("is encrypted", "Save it again, without a password.")
        content = safe_xml.parse(archive.read("content.xml"))
        return content, safe_xml.parse(archive.read("meta.xml")) if "meta.xml" in names else content


def _text(content: Any, meta: Any) -> Content:
    sections = SectionBuilder()
    body = content.find(f".//{OFFICE}body/{OFFICE}text")
    if body is None:
        raise Unreadable("is not a text document", "Save it as .docx or PDF.")
    for block in _blocks(body):
        if block.tag == f"{TEXT}h":
            sections.heading(int(block.get(f"{TEXT}outline-level", "1")), _line(block))
        else:
            sections.add(_block(block))
        for box in block.iter(f"{DRAW}text-box"):
            sections.add("\n".join(map(_block, _blocks(box))))
    notes = ["\n".join(_paragraphs(note)) for note in body.iter(f"{TEXT}note-body")]
    if notes:
        sections.heading(1, "Footnotes", "")
        for note in notes:
            sections.add(note)
    sections.end()
    return _content(sections, meta)


def _content(sections: SectionBuilder, meta: Any) -> Content:
    if not sections.collected:
        raise Unreadable("is empty: there is no text in it", "Leave it out.")
    return sections.content(" ".join((meta.findtext(f".//{META}") or "").split()))


def _blocks(parent: Any) -> Iterator[Any]:
    """Headings, paragraphs, lists and tables, also those in sections and the like."""
    for element in parent:
        if element.tag in (f"{TEXT}h", f"{TEXT}p", f"{TEXT}list", f"{TABLE}table"):
            yield element
        elif element.tag not in LEFT_OUT and isinstance(element.tag, str):
            yield from _blocks(element)


def _block(block: Any) -> str:
    if block.tag == f"{TABLE}table":
        return _table(block)
    return "\n".join(_items(block, "")) if block.tag == f"{TEXT}list" else _line(block)


def _items(items: Any, indent: str) -> Iterator[str]:
    """The lines of a list, indented by depth."""
    for item in items:
        for index, block in enumerate(item):
            if block.tag == f"{TEXT}list":
                yield from _items(block, f"{indent}  ")
            elif block.tag in (f"{TEXT}p", f"{TEXT}h"):
                yield f"{indent}{'  ' if index else '- '}{_line(block)}"


def _table(element: Any) -> str:
    rows = (row for row in element.iter(f"{TABLE}table-row") if next(row.iterancestors(f"{TABLE}table")) is element)
    return table([[" ".join(_paragraphs(cell)) for cell in row.iterfind(f"{TABLE}table-cell")] for row in rows])


def _paragraphs(element: Any) -> list[str]:
    return [line for part in element.iter(f"{TEXT}p", f"{TEXT}h") if (line := _line(part))]


def _line(element: Any) -> str:
    """The words of a paragraph: spaces, tabs and line ends are elements."""
    parts = [element.text or ""]
    for child in element:
        if child.tag == f"{TEXT}s":
            parts.append(" " * min(int(child.get(f"{TEXT}c", "1")), SPACES))
        elif child.tag == f"{TEXT}tab":
            parts.append("\t")
        elif child.tag == f"{TEXT}line-break":
            parts.append("\n")
        elif child.tag not in LEFT_OUT and isinstance(child.tag, str):
            parts.append(_line(child))
        parts.append(child.tail or "")
    return "".join(parts)
