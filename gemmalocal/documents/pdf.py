"""PDF through PDFium, and through pypdf where that reads better: lines back to front, lost word spaces."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from gemmalocal.documents import clean, heads, hyphens, pdf_forms, quality
from gemmalocal.documents.document import Content, SectionBuilder, Unreadable
from gemmalocal.documents.pdf_text import Line, lines_of
from gemmalocal.jobs.plurals import plural

SCANNED = 20  # characters; a page with fewer, and an image, is a picture of text
SHOWN = 8  # numbers of pages that a warning names
OCR = "Recognise its text first, for example with ocrmypdf."


class Page(NamedTuple):
    """Lines; how far from the page's top each stands (0 to 1) and how high it is, None where that is not known."""

    lines: list[str]
    offsets: list[float | None]
    heights: list[float | None]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class OutlineEntry(NamedTuple):
    """An entry of the outline: `level` counts from 1, `page` from 0."""

    level: int
    title: str
    page: int


def read_pdf(file: Path, password: str | None = None) -> Content:
    """The text by outline and page, without running heads.

    Raises `Unreadable` for what is encrypted, damaged, or has no text layer.
    """
    with closing(_open(file, password)) as pdf:
        title = _title(pdf)
        outline = list(_outline(pdf))
        pages, scanned = _pages(pdf)
    if not any(page.lines for page in pages):
        if scanned:
            raise Unreadable("holds only images of text, no text layer", OCR)
        raise Unreadable("is empty: there is no text on its pages", "Leave it out.")
    texts = [page.text for page in pages]
    better = _better(texts, file, password)
    if better is not texts:
        pages = [page if new == page.text else _unplaced(new) for page, new in zip(pages, better, strict=True)]
    whole = hyphens.join([page.lines for page in pages])
    lines, stripped = heads.strip(
        heads.Pages(whole, [page.offsets for page in pages], [page.heights for page in pages])
    )
    warnings = (f"Without a text layer, so not read: {_numbers(scanned)}. {OCR}" if scanned else "", stripped)
    return Content(title, _sections(lines, outline), tuple(filter(None, warnings)))


def _open(file: Path, password: str | None) -> Any:
    import pypdfium2
    from pypdfium2 import raw

    try:
        pdf = pypdfium2.PdfDocument(file, password=password)
        pdf_forms.prepare(pdf)
        return pdf
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            why = "is encrypted" if password is None else "is encrypted with another password"
            raise Unreadable(why, "Give its password with --password.") from error
        if error.err_code == raw.FPDF_ERR_SECURITY:
            hint = "Save it again, without encryption."
            raise Unreadable("is encrypted in a way that PDFium does not know", hint) from error
        raise Unreadable("is damaged: it is not a whole PDF", "Fetch or save it again.") from error


def _pages(pdf: Any) -> tuple[list[Page], list[int]]:
    """Each page, and the numbers from 1 of those that only hold images, or are broken."""
    import pypdfium2

    pages: list[Page] = []
    scanned: list[int] = []
    for number in range(len(pdf)):
        try:
            page = pdf[number]
        except pypdfium2.PdfiumError:  # a page whose object is broken; the others are read
            pages.append(Page([], [], []))
            scanned.append(number + 1)
            continue
        with closing(page), closing(page.get_textpage()) as textpage:
            lines = lines_of(textpage, pdf_forms.values(pdf, page))
            if sum(len(line.text) for line in lines) < SCANNED and _pictured(page):
                scanned.append(number + 1)
            pages.append(Page([line.text for line in lines], _offsets(page, lines), _heights(lines)))
    return pages, scanned


def _offsets(page: Any, lines: Sequence[Line]) -> list[float | None]:
    """How far from the top of a page, as it is shown, each line's middle is."""
    turned = page.get_rotation()
    left, bottom, right, top = page.get_bbox()
    width, height = (right - left) or 1, (top - bottom) or 1
    across = turned in (90, 270)
    offsets: list[float | None] = []
    for line in lines:
        if line.box is None:
            offsets.append(None)
            continue
        box = line.box
        offset = ((box.left + box.right) / 2 - left) / width if across else (top - (box.bottom + box.top) / 2) / height
        offsets.append(1 - offset if turned in (180, 270) else offset)
    return offsets


def _heights(lines: Sequence[Line]) -> list[float | None]:
    return [line.box.height if line.box else None for line in lines]


def _unplaced(text: str) -> Page:
    lines = [line for line in text.splitlines() if line.strip()]
    return Page(lines, [None] * len(lines), [None] * len(lines))


def _pictured(page: Any) -> bool:
    from pypdfium2 import raw

    return next(page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=3), None) is not None


def _better(pages: list[str], file: Path, password: str | None) -> list[str]:
    """The pages, and instead of those that PDFium reads badly what pypdf makes of them, where that is better."""
    rtl = quality.right_to_left("".join(pages))
    bad = [number for number, text in enumerate(pages) if (rtl and quality.backwards(text)) or _lost(text)]
    if not bad:
        return pages
    better = list(pages)
    for number, text in _by_pypdf(file, password, bad).items():
        if text.strip() and not quality.backwards(text) and not _lost(text):
            better[number] = text
    return better


def _lost(text: str) -> bool:
    return quality.lost_spaces(text) > quality.LOST_SPACES


def _by_pypdf(file: Path, password: str | None, numbers: Sequence[int]) -> dict[int, str]:
    """The text of some pages by pypdf; of those that it cannot read, none."""
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns of each object that is not quite right
    texts = {}
    try:
        with pypdf.PdfReader(file, password=password) as reader:
            for number in numbers:
                texts[number] = reader.pages[number].extract_text()
    except Exception:  # it raises what it likes on bad files; PDFium's text is there already
        pass
    return texts


def _title(pdf: Any) -> str:
    try:
        return str(pdf.get_metadata_value("Title"))
    except UnicodeDecodeError:  # bytes that are no UTF-16
        return ""


def _outline(pdf: Any) -> Iterator[OutlineEntry]:
    """The bookmarks that lead to a page."""
    for mark in pdf.get_toc():
        target = mark.get_dest()
        page = target.get_index() if target else None
        try:
            title = " ".join(clean.plain(mark.get_title()).split())
        except UnicodeDecodeError:
            continue
        if page is not None and title:
            yield OutlineEntry(mark.level + 1, title, page)


def _sections(pages: Sequence[Sequence[str]], outline: Sequence[OutlineEntry]) -> list[Any]:
    """Pages cut at the lines where a heading of the outline stands; where none does, at the page's first."""
    headings: dict[int, list[OutlineEntry]] = {}
    for heading in outline:
        headings.setdefault(heading.page, []).append(heading)
    sections = SectionBuilder()
    for number, page in enumerate(pages):
        sections.page = number + 1
        starts = _starts(page, headings[number]) if number in headings else {}
        for index, line in enumerate(page):
            for heading in starts.get(index, ()):
                sections.heading(heading.level, heading.title, "")
            sections.line(line)
        sections.end()
    return sections.collected


def _starts(lines: Sequence[str], headings: Sequence[OutlineEntry]) -> dict[int, list[OutlineEntry]]:
    """The line at which each heading begins, in their order."""
    keys = [_key(line) for line in lines]
    starts: dict[int, list[OutlineEntry]] = {}
    index = 0
    for heading in headings:
        title = _key(heading.title)
        start = next((at for at in range(index, len(keys)) if _is_title(keys, at, title)), index)
        starts.setdefault(start, []).append(heading)
        index = start
    return starts


def _is_title(keys: Sequence[str], at: int, title: str) -> bool:
    """Does a line, or do two, say the title, with a number before it or without?"""
    both = keys[at] + keys[at + 1] if at + 1 < len(keys) else keys[at]
    return bool(title) and any(
        key.endswith(title) and re.fullmatch("[a-z]{0,8}[0-9]*", key.removesuffix(title)) for key in (keys[at], both)
    )


def _key(text: str) -> str:
    return "".join(re.findall(r"\w+", text.casefold()))


def _numbers(pages: Sequence[int]) -> str:
    shown = ", ".join(map(str, pages[:SHOWN]))
    more = f" and {len(pages) - SHOWN} more" if len(pages) > SHOWN else ""
    return f"{plural(len(pages), 'page')} {shown}{more}"
