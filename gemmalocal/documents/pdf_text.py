"""The lines of a PDF's page by PDFium, with their places: superscripts apart, columns and sideways lines in order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gemmalocal.documents import marks, pdf_columns
from gemmalocal.documents.pdf_characters import PAD, SMALL, Box, Characters, Span

DIGITS = re.compile(r"\d+")
FIGURES = re.compile(r"\d[\d.,]{3,}\d")  # may be two numbers of a table that PDFium did not part
DOWN = 3  # quarter turns against the clock of text that is read from the top down
ENDINGS = "0123456789*†‡§¶"  # of a line that may end with a superscript
OUTER = 4  # lines at each edge of a page whose places are told; of those between, of each second
SIGNS = "-−–+"
BETWEEN = re.compile(r" ?[,–-] ?")  # footnote marks: 1,2
RAISED = 0.15  # of its neighbour's height, by which its foot stands higher
WIDER = 1.2  # than high: a character that lies
SPACE, APART = 0.12, 0.05  # of a line's height: a gap as wide is a space; one of table figures is


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


def lines_of(textpage: Any, filled: Sequence[Filled] = ()) -> list[Line]:
    """A page's lines in the order in which they are read, with what was filled in."""
    chars = Characters(textpage)
    if not chars.placed:
        texts = [text.strip() for text in chars.text.replace(PAD, "").split("\r\n")]
        return [Line(text) for text in (*texts, *(value.text for value in filled)) if text]
    spans = pdf_columns.one_after_the_other(chars, _whole_lines(chars))
    marks_of_filled = [_filled_mark(chars, spans, value) for value in filled]
    edits = sorted([*_marks(chars), *_parted(chars), *filter(None, marks_of_filled)])
    lines = _lines(chars, _upright(chars, spans), edits)
    for mark, value in zip(marks_of_filled, filled, strict=True):
        if mark is None:
            _insert(lines, value)
    return lines


def _filled_mark(chars: Characters, spans: Sequence[Span], value: Filled) -> Mark | None:
    """Where in a line a value stands; None if it is a line of its own."""
    middle = (value.box.bottom + value.box.top) / 2
    same_line = list[tuple[float, Span]]()
    for span in spans:
        box = chars.box(span[0])
        if "\n" not in value.text and box.bottom <= middle <= box.top:
            same_line.append((box.left, span))
    before = [span for left, span in sorted(same_line) if left < value.box.left]
    if not same_line:
        return None
    start, end = before[-1] if before else min(same_line)[1]
    index = next((index for index in range(start, end) if chars.box(index).left >= value.box.left - 1), end)
    while start < index < end and not (chars.text[index - 1].isspace() or chars.text[index].isspace()):
        index -= 1  # not within a word
    return Mark(index, index, False, value.text)


def _insert(lines: list[Line], value: Filled) -> None:
    """Put a value before the first line that stands below it."""
    below = (index for index, line in enumerate(lines) if line.box and line.box.top < value.box.top)
    lines.insert(next(below, len(lines)), Line(value.text, value.box))


def _whole_lines(chars: Characters) -> list[Span]:
    """The lines, without the ends that PDFium puts around superscripts and single characters."""
    spans = chars.spans()
    text, last, short = chars.text, -1, False
    for start, end in spans:
        alone = end - start < 3
        if last >= 0 and (alone or short or text[last] in ENDINGS):
            gap = _gap(chars.box(last), chars.box(start))
            if gap is not None:  # as many characters as before, so that the indices of all others stay
                text = text[: last + 1] + gap + PAD * (start - last - 1 - len(gap)) + text[start:]
        last, short = end - 1, alone
    if text is chars.text:
        return spans
    chars.text = text
    return chars.spans()


def _gap(left: Box, right: Box) -> str | None:
    """What parts two characters that stand side by side; None if they do not."""
    low, high = sorted((left.height, right.height))
    gap = right.left - left.right
    if not -1 < gap < high / 2 or min(left.top, right.top) - max(left.bottom, right.bottom) < low * 0.3:
        return None
    return " " if gap > SPACE * high else ""


def _marks(chars: Characters) -> Iterator[Mark]:
    """Digits that are smaller than their neighbours, and raised or lowered."""
    text, box = chars.text, chars.box
    mark: Mark | None = None
    index = -1
    beside = Box(0, 0, 0, 0)  # what the digits at hand are measured by
    for run in DIGITS.finditer(text):
        start, end = run.span()
        # Behind a raised number a comma or a dash and another may follow: one mark, measured by one neighbour.
        if mark is None or not BETWEEN.fullmatch(text, mark.end, start):
            if mark is not None:
                yield mark
                mark = None
            index = _neighbour(text, start, end)
            if index < 0:
                continue
            beside = box(index)
        last = box(end - 1)
        if last.height >= beside.height * SMALL or not chars.is_smaller(end - 1, index):
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
        for index in range(run.start() + 1, run.end()):
            if chars.object(index) != chars.object(index - 1):
                left, right = chars.box(index - 1), chars.box(index)
                if abs(right.left - left.right) > APART * left.height and right.height >= left.height * SMALL:
                    yield Mark(index, index, False)


def _upright(chars: Characters, spans: list[Span]) -> list[Span]:
    """Lines that are turned by a quarter, in the order of one who turns the page; PDFium sorts them from the left."""
    if not any(_turned(chars, span) for span in spans[::2]):
        return spans
    turned = [_turned(chars, span) for span in spans]
    ordered, index = list[Span](), 0
    while index < len(spans):
        end = index + 1
        while end < len(spans) and turned[end] == turned[index]:
            end += 1
        group = spans[index:end]
        if turned[index] == DOWN:
            group.sort(key=lambda span: _from_the_right(chars.box(span[0])))
        ordered += group
        index = end
    return ordered


def _from_the_right(box: Box) -> tuple[float, float]:
    return -round(box.left / max(box.right - box.left, 1) * 2), -box.top


def _turned(chars: Characters, span: Span) -> int:
    """Quarter turns of a line, 0 for one that is as most are: its characters are higher than wide."""
    box = chars.box(span[0])
    return round(chars.angle(span[0])) % 4 if box.right - box.left > WIDER * box.height else 0


def _lines(chars: Characters, spans: Sequence[Span], edits: Sequence[Mark]) -> list[Line]:
    text = chars.text
    texts = [_written(text, start, end, edits) if edits else text[start:end] for start, end in spans]
    if PAD in text:
        texts = [line.replace(PAD, "") for line in texts]
    first = [
        chars.box(start) if number % 2 == 0 or number < OUTER or len(spans) - number <= OUTER else None
        for number, (start, _) in enumerate(spans)
    ]
    return list(map(Line, texts, first))


def _written(text: str, start: int, end: int, edits: Sequence[Mark]) -> str:
    """The text of a line with its marks as a keyboard has them."""
    line, position = "", start
    for mark in edits:
        if mark.start < start or mark.end > end:
            continue
        line += text[position : mark.start]
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
        position = mark.end
        if line.endswith(" ") and text[position : position + 1] == " ":
            position += 1
    return (line + text[position:end]).rstrip()
