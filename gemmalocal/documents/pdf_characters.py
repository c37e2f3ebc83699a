"""A PDF's page by PDFium, character by character: its text, and where each character stands."""

from __future__ import annotations

import math
import re
from ctypes import byref, c_void_p, cast
from typing import Any, NamedTuple

PAD = "\ufdd0"  # holds the place of a line end that is none, and of the second half of a character beyond U+FFFF
WIDE = re.compile("[\U00010000-\U0010ffff]")
SMALL = 0.9  # of its neighbour's height: a superscript is smaller

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


class Characters:
    """A page's characters by PDFium: their text, and the box of each."""

    def __init__(self, textpage: Any) -> None:
        from pypdfium2 import raw

        self.raw, self.handle = raw, textpage.raw
        self._rect = raw.FS_RECTF()
        self._by = byref(self._rect)
        self._box = raw.FPDFText_GetLooseCharBox
        self._boxes: dict[int, Box] = {}
        text, count = textpage.get_text_range(), textpage.count_chars()
        self.text = text if len(text) == count else WIDE.sub(rf"\g<0>{PAD}", text)
        self.placed = len(self.text) == count

    def box(self, index: int) -> Box:
        if index not in self._boxes:
            self._box(self.handle, index, self._by)
            rect = self._rect
            self._boxes[index] = Box(rect.left, rect.bottom, rect.right, rect.top)
        return self._boxes[index]

    def is_smaller(self, index: int, than: int) -> bool:
        """Whether a character's font is smaller than another's; where the page scales them, that cannot be told."""
        size, than_size = (self.raw.FPDFText_GetFontSize(self.handle, character) for character in (index, than))
        return bool(size < than_size * SMALL or size == than_size <= 1)

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
