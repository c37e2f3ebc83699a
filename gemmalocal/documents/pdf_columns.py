"""Two columns of text that a PDF draws line by line, read one after the other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from ctypes import byref, c_double
from statistics import median
from typing import NamedTuple

from gemmalocal.documents.pdf_characters import Characters, Span

FEWEST = 5  # lines side by side
SAMPLE, SOME = 20, 3  # rectangles of a page's middle, and lines among them, by which it is known for one of columns
WIDEST = 0.8  # of a line's height: a wider gap may be one between columns
FILLED = 0.55  # of a column's width that its lines fill at the least; the cells of a table fill less
WORDS = 3  # of a line at the least
WORD = re.compile(r"[^\W\d]\S*")


class LinePart(NamedTuple):
    """A line's part on each side of the gutter; one that crosses it is neither."""

    whole: Span
    left: Span | None
    right: Span | None


def one_after_the_other(chars: Characters, spans: list[Span]) -> list[Span]:
    """The lines, and of a page with two columns side by side those of the left one first."""
    count = chars.raw.FPDFText_CountRects(chars.handle, 0, -1)
    if len(spans) < FEWEST or count < len(spans) + FEWEST:
        return spans
    middle = max((count - SAMPLE) // 2, 0)
    gutters = _gutters(_rects(chars, middle, min(count, middle + SAMPLE)), SOME)
    middle = max((len(spans) - SAMPLE) // 2, 0)
    some = spans[middle : middle + SAMPLE]
    if not any(_is_prose(chars, [_split(chars, span, gutter) for span in some], SOME) for gutter in gutters):
        return spans
    for gutter in _gutters(_rects(chars, 0, count), FEWEST):
        pieces = [_split(chars, span, gutter) for span in spans]
        if _is_prose(chars, pieces, FEWEST):
            spans = _reordered(pieces)
    return spans


def _rects(chars: Characters, start: int, end: int) -> list[list[float]]:
    """Left, top, right and bottom of pieces of text as they were drawn."""
    sides = (c_double * 4)()
    pointers = [byref(c_double.from_buffer(sides, 8 * side)) for side in range(4)]
    rects = []
    for index in range(start, end):
        chars.raw.FPDFText_GetRect(chars.handle, index, *pointers)
        rects.append(sides[:])
    return rects


def _gutters(rects: Sequence[list[float]], fewest: int) -> list[float]:
    """Where columns begin, from the left: at some pieces at least that stand behind a wide gap."""
    starts = Counter[int]()
    before = [0.0] * 4
    for rect in rects:
        if rect[0] - before[2] > WIDEST * (before[1] - before[3]) and rect[3] < before[1] and before[3] < rect[1]:
            starts[round(rect[0] / 2)] += 1
        before = rect
    # In steps of two points: of neighbouring steps, which may share a column's pieces, the first is taken.
    often = sorted(position for position in starts if starts[position] + starts[position + 1] >= fewest)
    return [2 * position - 1.0 for index, position in enumerate(often) if not index or position - often[index - 1] > 1]


def _split(chars: Characters, span: Span, gutter: float) -> LinePart:
    start, end = span
    low, high = start, end  # the first character behind the gutter is in between
    while low < high:
        middle = (low + high) // 2
        if chars.box(middle).left < gutter:
            low = middle + 1
        else:
            high = middle
    if low == start:
        return LinePart(span, None, span)
    if low == end:
        return LinePart(span, span, None)
    left = start + len(chars.text[start:low].rstrip())
    box = chars.box(left - 1)
    if chars.box(low).left - box.right < WIDEST * box.height * 0.6:
        return LinePart(span, None, None)
    return LinePart(span, (start, left), (low, end))


def _is_prose(chars: Characters, pieces: Sequence[LinePart], fewest: int) -> bool:
    """Are both sides lines of words that fill their column? A table's cells do not."""
    both = [(piece.left, piece.right) for piece in pieces if piece.left and piece.right]
    if len(both) < fewest:
        return False
    for side in zip(*both, strict=True):
        if median(len(WORD.findall(chars.text[start:end])) for start, end in side) < WORDS:
            return False
        edges = [(chars.box(start).left, chars.box(end - 1).right) for start, end in side]
        width = max(right for _, right in edges) - min(left for left, _ in edges)
        if median(right - left for left, right in edges) < FILLED * width:
            return False
    return True


def _reordered(pieces: Sequence[LinePart]) -> list[Span]:
    """Each block of lines that keep to their column: its left side, then its right."""
    spans: list[Span] = []
    left: list[Span] = []
    right: list[Span] = []
    for piece in pieces:
        if piece.left is None and piece.right is None:
            spans += [*left, *right, piece.whole]
            left, right = [], []
        left += [piece.left] if piece.left else []
        right += [piece.right] if piece.right else []
    return [*spans, *left, *right]
