"""The lines of a PDF's page by PDFium, with their places: superscripts apart, columns and sideways lines in order."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from ctypes import byref, c_void_p, cast
from typing import Any, NamedTuple

from gemmalocal.documents import marks

PAD = "\ufdd0"  # holds the place of a line end that is none, and of the second half of a character beyond U+FFFF
WIDE = re.compile("[\U00010000-\U0010ffff]")
DIGITS = re.compile(r"\d+")
FIGURES = re.compile(r"\d[\d.,]{3,}\d")  # may be two numbers of a table that PDFium did not part
DOWN = 3  # quarter turns against the clock of text that is read from the top down
ENDINGS = "0123456789*†‡§¶"  # of a line that may end with a superscript
OUTER = 4  # lines at each edge of a page whose places are told; of those between, of each second
SIGNS = "-−–+"
BETWEEN = re.compile(r" ?[,–-] ?")  # footnote marks: 1,2
SMALL = 0.9  # of its neighbour's height: a superscript is smaller
RAISED = 0.15  # of its neighbour's height, by which its foot stands higher
WIDER = 1.2  # than high: a character that lies
SPACE, APART = 0.12, 0.05  # of a line's height: a gap as wide is a space; one of table figures is

Span = tuple[int, int]  # indices of characters: the first, and the one behind the last


class Box(NamedTuple):
    """Where a character stands, in points from the page's lower left corner; as high as its font."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def height(self) -> float:
        return self.top - self.bottom


class Line(NamedTuple):
    """A line's text, and the box of its first character; None where that is not known, or not needed."""

    text: str
    box: Box | None = None


class Mark(NamedTuple):
    """Digits that stand higher or lower than what they follow; if empty, a place for a space or for `text`."""

    start: int
    end: int
    raised: bool
    text: str = ""


class Filled(NamedTuple):
    """A value of a form, or a note, and where it stands."""

    box: Box
    text: str


class Characters:
    """A page's characters by PDFium: their text, and the box of each."""

    def __init__(self, textpage: Any) -> None:
        from pypdfium2 import raw

        self.raw, self.handle = raw, textpage.raw
        self._rect = raw.FS_RECTF()
        self._by = byref(self._rect)
        self._box = raw.FPDFText_GetLooseCharBox
        self._known: dict[int, Box] = {}
        text, count = textpage.get_text_range(), textpage.count_chars()
        self.text = text if len(text) == count else WIDE.sub(rf"\g<0>{PAD}", text)
        self.placed = len(self.text) == count

    def box(self, index: int) -> Box:
        if index not in self._known:
            self._box(self.handle, index, self._by)
            rect = self._rect
            self._known[index] = Box(rect.left, rect.bottom, rect.right, rect.top)
        return self._known[index]

    def smaller(self, index: int, other: int) -> bool:
        """Whether a character's font is smaller than another's; where the page scales them, that cannot be told."""
        one, two = (self.raw.FPDFText_GetFontSize(self.handle, at) for at in (index, other))
        return bool(one < two * SMALL or one == two <= 1)

    def angle(self, index: int) -> float:
        """Quarter turns against the clock by which a character is turned."""
        return -float(self.raw.FPDFText_GetCharAngle(self.handle, index)) / (math.pi / 2)

    def object(self, index: int) -> int:
        """Which text object of the page a character is of, as an address."""
        return cast(self.raw.FPDFText_GetTextObject(self.handle, index), c_void_p).value or 0

    def spans(self) -> list[Span]:
        """The lines, without the white space around them."""
        spans, start = [], 0
        for text in self.text.split("\r\n"):
            end = start + len(text)
            if not (text[:1].isspace() or text[-1:].isspace()):
                spans += [(start, end)] if text else []
            elif shown := text.strip():
                first = start + len(text) - len(text.lstrip())
                spans.append((first, first + len(shown)))
            start = end + 2
        return spans


def lines_of(textpage: Any, filled: Sequence[Filled] = ()) -> list[Line]:
    """A page's lines in the order in which they are read, with what was filled in."""
    from gemmalocal.documents import pdf_columns

    chars = Characters(textpage)
    if not chars.placed:
        texts = [text.strip() for text in chars.text.replace(PAD, "").split("\r\n")]
        return [Line(text) for text in (*texts, *(value.text for value in filled)) if text]
    spans = pdf_columns.one_after_the_other(chars, _whole_lines(chars))
    places = [_place(chars, spans, value) for value in filled]
    edits = sorted([*_marks(chars), *_parted(chars), *filter(None, places)])
    lines = _lines(chars, _upright(chars, spans), edits)
    for place, value in zip(places, filled, strict=True):
        if place is None:
            _insert(lines, value)
    return lines


def _place(chars: Characters, spans: Sequence[Span], value: Filled) -> Mark | None:
    """Where in a line a value stands; None if it is a line of its own."""
    middle = (value.box.bottom + value.box.top) / 2
    beside = list[tuple[float, Span]]()
    for span in spans:
        box = chars.box(span[0])
        if "\n" not in value.text and box.bottom <= middle <= box.top:
            beside.append((box.left, span))
    before = [span for left, span in sorted(beside) if left < value.box.left]
    if not beside:
        return None
    start, end = before[-1] if before else min(beside)[1]
    at = next((at for at in range(start, end) if chars.box(at).left >= value.box.left - 1), end)
    while start < at < end and not (chars.text[at - 1].isspace() or chars.text[at].isspace()):
        at -= 1  # not within a word
    return Mark(at, at, False, value.text)


def _insert(lines: list[Line], value: Filled) -> None:
    """Put a value before the first line that stands below it."""
    below = (at for at, line in enumerate(lines) if line.box and line.box.top < value.box.top)
    lines.insert(next(below, len(lines)), Line(value.text, value.box))


def _whole_lines(chars: Characters) -> list[Span]:
    """The lines, without the ends that PDFium puts around superscripts and single characters."""
    spans = chars.spans()
    text, place, short = chars.text, -1, False
    for start, end in spans:
        alone = end - start < 3
        if place >= 0 and (alone or short or text[place] in ENDINGS):
            gap = _gap(chars.box(place), chars.box(start))
            if gap is not None:
                text = text[: place + 1] + gap + PAD * (start - place - 1 - len(gap)) + text[start:]
        place, short = end - 1, alone
    if text is chars.text:
        return spans
    chars.text = text
    return chars.spans()


def _gap(one: Box, other: Box) -> str | None:
    """What parts two characters that stand side by side; None if they do not."""
    low, high = sorted((one.height, other.height))
    gap = other.left - one.right
    if not -1 < gap < high / 2 or min(one.top, other.top) - max(one.bottom, other.bottom) < low * 0.3:
        return None
    return " " if gap > SPACE * high else ""


def _marks(chars: Characters) -> Iterator[Mark]:
    """Digits that are smaller than their neighbours, and raised or lowered."""
    text, box = chars.text, chars.box
    mark: Mark | None = None
    at = -1
    beside = Box(0, 0, 0, 0)  # what the digits at hand are measured by
    for run in DIGITS.finditer(text):
        start, end = run.span()
        if mark is None or not BETWEEN.fullmatch(text, mark.end, start):
            if mark is not None:
                yield mark
                mark = None
            at = _neighbour(text, start, end)
            if at < 0:
                continue
            beside = box(at)
        last = box(end - 1)
        if last.height >= beside.height * SMALL or not chars.smaller(end - 1, at):
            continue
        while start < end - 1 and box(start).height >= beside.height * SMALL:
            start += 1
        rise = (last.bottom - beside.bottom) / (beside.height or 1)
        if rise > RAISED or (rise < 0 and last.top < beside.top):
            if start and text[start - 1] in SIGNS and box(start - 1).height < beside.height * SMALL:
                start -= 1
            mark = Mark(mark.start if mark else start, end, rise > RAISED)
    if mark is not None:
        yield mark


def _neighbour(text: str, start: int, end: int) -> int:
    """The character of the same line by whose height a run of digits is measured; -1 if there is none."""
    before = start - 1
    while before >= 0 and (text[before] in " \ufdd0" or (before == start - 1 and text[before] in SIGNS)):
        before -= 1
    if before >= 0 and text[before] not in "\r\n":
        return before
    while end < len(text) and text[end] in " \ufdd0":
        end += 1
    if end < len(text) and text[end] not in "\r\n":
        return end
    return start if end - start > 1 else -1


def _parted(chars: Characters) -> Iterator[Mark]:
    """The places, as empty marks, where one number of a table ends and the next begins without a space."""
    for run in FIGURES.finditer(chars.text):
        if chars.object(run.start()) == chars.object(run.end() - 1):
            continue
        for at in range(run.start() + 1, run.end()):
            if chars.object(at) != chars.object(at - 1):
                left, right = chars.box(at - 1), chars.box(at)
                if abs(right.left - left.right) > APART * left.height and right.height >= left.height * SMALL:
                    yield Mark(at, at, False)


def _upright(chars: Characters, spans: list[Span]) -> list[Span]:
    """Lines that are turned by a quarter, in the order of one who turns the page; PDFium sorts them from the left."""
    if not any(_turned(chars, span) for span in spans[::2]):
        return spans
    turned = [_turned(chars, span) for span in spans]
    ordered, at = list[Span](), 0
    while at < len(spans):
        end = at + 1
        while end < len(spans) and turned[end] == turned[at]:
            end += 1
        group = spans[at:end]
        if turned[at] == DOWN:
            group.sort(key=lambda span: _from_the_right(chars.box(span[0])))
        ordered += group
        at = end
    return ordered


def _from_the_right(box: Box) -> tuple[float, float]:
    return -round(box.left / max(box.right - box.left, 1) * 2), -box.top


def _turned(chars: Characters, span: Span) -> int:
    """Quarter turns of a line, 0 for one that is as most are: its characters are higher than wide."""
    box = chars.box(span[0])
    return round(chars.angle(span[0])) % 4 if box.right - box.left > WIDER * box.height else 0


def _lines(chars: Characters, spans: Sequence[Span], edits: Sequence[Mark]) -> list[Line]:
    text = chars.text
    written = [_written(text, start, end, edits) if edits else text[start:end] for start, end in spans]
    if PAD in text:
        written = [line.replace(PAD, "") for line in written]
    first = [
        chars.box(start) if at % 2 == 0 or at < OUTER or len(spans) - at <= OUTER else None
        for at, (start, _) in enumerate(spans)
    ]
    return list(map(Line, written, first))


def _written(text: str, start: int, end: int, edits: Sequence[Mark]) -> str:
    """The text of a line with its marks as a keyboard has them."""
    line, place = "", start
    for mark in edits:
        if mark.start < start or mark.end > end:
            continue
        line += text[place : mark.start]
        line = line.replace(PAD, "")
        digits = text[mark.start : mark.end].replace(PAD, "").replace(" ", "")
        if mark.text:
            line = f"{line.rstrip()} {mark.text} ".lstrip()
        elif not digits:
            line += " "
        elif line.strip() or text[mark.end : end].lstrip()[:1].isalpha():
            line = line.rstrip() + (marks.raised if mark.raised else marks.lowered)(line, digits)
            if text[mark.end : mark.end + 1].isalpha() and mark.raised:
                line += " "
        else:  # a formula in pieces
            line += digits
        place = mark.end
        if line.endswith(" ") and text[place : place + 1] == " ":
            place += 1
    return (line + text[place:end]).rstrip()
