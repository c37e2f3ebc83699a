"""PowerPoint files through python-pptx: what stands on each slide, in the order in which it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gemmalocal.documents import charts, diagrams, formulas, marks, symbols
from gemmalocal.documents.counters import numeral
from gemmalocal.documents.document import Content, Hidden, SectionBuilder, table
from gemmalocal.documents.office import empty, title
from gemmalocal.documents.packed import check

P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
OVERLAP = 0.2  # of a box, by which it may reach into the next
WIDER = 2.0  # times as wide as between rows: a gap that parts columns
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
COUNTS = {"arabic": "1", "alphaLc": "a", "alphaUc": "A", "romanLc": "i", "romanUc": "I"}
ENDS = {"Period": "{}.", "ParenR": "{})", "ParenBoth": "({})", "Plain": "{}"}
FORMULA = f"{formulas.M}oMath"


class PlacedShape(NamedTuple):
    """A piece of a slide and where it stands, in EMU."""

    left: float
    top: float
    right: float
    bottom: float
    text: str


def read_pptx(file: Path, password: str | None = None) -> Content:
    """A section a slide, its title as the heading: text, tables, charts' figures, groups, and the speaker's notes."""
    import pptx

    check(file)
    deck = pptx.Presentation(str(file))
    sections = SectionBuilder()
    hidden = Hidden(0, 0)
    named = ""  # what the first slide with a title is called
    for number, slide in enumerate(deck.slides, 1):
        sections.page = number
        _choose(slide)
        head = slide.shapes.title
        name = " ".join(_paragraphs(head.text_frame).split()) if head is not None else ""
        named = named or name
        sections.heading(1, name or f"Slide {number}", "")
        shapes = [shape for shape in slide.shapes if head is None or shape.shape_id != head.shape_id]
        shown = [shape for shape in shapes if not _is_hidden(shape)]
        hidden = _counted(hidden, [shape for shape in shapes if _is_hidden(shape)])
        if head is not None:
            sections.add(_paragraphs(head.text_frame))
        for text in in_order([box for shape in shown for box in _boxes(shape)]):
            sections.add(text)
        if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None:
            sections.add(_paragraphs(frame))
        sections.end()
    if not sections.collected:
        raise empty([slide.element for slide in deck.slides])
    return Content(title(deck.core_properties.title, named), sections.collected, hidden.warnings)


def _is_hidden(shape: Any) -> bool:
    return any(node.get("hidden") in ("1", "true") for node in shape.element.xpath("./*/p:cNvPr"))


def _counted(hidden: Hidden, shapes: Sequence[Any]) -> Hidden:
    texts = [text for shape in shapes if (text := "".join(box.text for box in _boxes(shape)).strip())]
    return Hidden(hidden.pieces + len(texts), hidden.characters + sum(map(len, texts)))


def _choose(slide: Any) -> None:
    """Put what PowerPoint offers in two forms (a formula, and a picture of it) into the slide in its first form."""
    for either in list(slide.element.iter(f"{MC}AlternateContent")):
        choice = either.find(f"{MC}Choice")
        shapes = [] if choice is None else [child for child in choice if str(child.tag).startswith(P)]
        for shape in shapes:
            either.addprevious(shape)
        if shapes:
            either.getparent().remove(either)


def _boxes(shape: Any) -> Iterator[PlacedShape]:
    """A shape with its text; of a group, all of its shapes as one."""
    text = "\n\n".join(_texts(shape))
    left, top = shape.left or 0, shape.top or 0
    yield PlacedShape(left, top, left + (shape.width or 0), top + (shape.height or 0), text)


def _texts(shape: Any) -> Iterator[str]:
    if hasattr(shape, "shapes"):
        yield from in_order([box for inner in shape.shapes if not _is_hidden(inner) for box in _boxes(inner)])
    elif shape.has_text_frame:
        yield _paragraphs(shape.text_frame)
    elif getattr(shape, "has_table", False):
        yield table(
            [[_paragraphs(cell.text_frame) for cell in row.cells if not cell.is_spanned] for row in shape.table.rows]
        )
    elif getattr(shape, "has_chart", False):
        yield charts.text(shape.chart_part._element)
    else:
        yield from map(diagrams.text, diagrams.parts(shape.element, shape.part))


def in_order(boxes: Sequence[PlacedShape]) -> list[str]:
    """The texts of boxes as they are read: by rows, or by columns where those are parted more widely."""
    boxes = [box for box in boxes if box.text.strip()]
    rows, apart = _parted(boxes, lambda box: (box.top, box.bottom))
    columns, aside = _parted(boxes, lambda box: (box.left, box.right))
    groups = columns if len(columns) > 1 and (len(rows) == 1 or aside > WIDER * apart) else rows
    if len(groups) < 2:
        return [box.text for box in sorted(boxes, key=lambda box: (box.top, box.left))]
    return [text for group in groups for text in in_order(group)]


def _parted(
    boxes: Sequence[PlacedShape], sides: Callable[[PlacedShape], tuple[float, float]]
) -> tuple[list[list[PlacedShape]], float]:
    """Boxes in groups that do not reach into each other, and the widest gap between two; a little may overlap."""
    groups: list[list[PlacedShape]] = []
    widest, end = 0.0, 0.0
    for box in sorted(boxes, key=sides):
        start, own = sides(box)
        if groups and start < end - OVERLAP * min(own - start, end - min(sides(member)[0] for member in groups[-1])):
            groups[-1].append(box)
            end = max(end, own)
            continue
        widest = max(widest, start - end) if groups else widest
        groups.append([box])
        end = own
    return groups, widest


def _paragraphs(frame: Any) -> str:
    """A text frame's paragraphs, a line each, with the numbers of its lists."""
    lines, counts = [], dict[int, tuple[str, int]]()
    for paragraph in frame._txBody.iterfind(f"{A}p"):
        text = _line(paragraph)
        settings = paragraph.find(f"{A}pPr")
        level = int(settings.get("lvl", "0")) if settings is not None else 0
        auto = None if settings is None else settings.find(f"{A}buAutoNum")
        if not text.strip():
            lines.append("")
            continue
        counts = {depth: count for depth, count in counts.items() if depth <= level}
        if auto is None:
            counts.pop(level, None)
        else:
            kind = auto.get("type", "arabicPeriod")
            before = counts.get(level, ("", 0))
            count = before[1] + 1 if before[0] == kind else int(auto.get("startAt", "1"))
            counts[level] = (kind, count)
            text = f"{'  ' * level}{_number(kind, count)} {text}"
        lines.append(text)
    return "\n".join(lines)


def _number(kind: str, count: int) -> str:
    letters = next((letter for name, letter in COUNTS.items() if kind.startswith(name)), "1")
    end = next((form for name, form in ENDS.items() if kind.endswith(name)), "{}.")
    return end.format(numeral(count, letters))


def _line(paragraph: Any) -> str:
    text = ""
    todo = list(reversed(paragraph))
    while todo:
        node = todo.pop()
        if node.tag in (f"{A}r", f"{A}fld"):
            text += _run(node, text)
        elif node.tag == f"{A}br":
            text += "\n"
        elif node.tag == FORMULA:
            text += formulas.of_omml(node)
        elif node.tag not in (f"{A}pPr", f"{A}endParaRPr", f"{MC}Fallback"):
            todo.extend(reversed(node))
    return text.replace("\v", "\n")


def _run(run: Any, before: str) -> str:
    text = run.findtext(f"{A}t") or ""
    look = run.find(f"{A}rPr")
    if look is None or not text.strip():
        return text
    font = look.find(f"{A}sym")
    if font is not None and symbols.is_symbolic(font.get("typeface", "")) and not text.isascii():
        text = symbols.shown(text, font.get("typeface", ""))
    baseline = look.get("baseline", "0").removesuffix("%")
    if baseline.startswith("-"):
        return marks.lowered(before, text)
    return text if not baseline.strip("0.") else marks.raised(before, text)
