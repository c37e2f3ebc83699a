"""What is to be written so that a terminal shows other cells: only these, in the order that takes the fewest bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

VISIBLE = frozenset(("4", "7", "9", "21", "53"))  # attributes that are seen where there is no letter
ERASED = re.compile(" {12,}")  # so many spaces that it is shorter to have them erased
MOVE = 4  # bytes of a move of the cursor along its line, at least
UNSEEN = " "  # the foreground of spaces
UNKNOWN = "\0"  # the text of a cell that nobody knows
DOWN = "\x1b[B"  # one line down in the same column; on the last line it stays there, where a line feed scrolls
OFF = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "7": "27", "8": "28", "9": "29", "21": "24", "53": "55"}

Place = tuple[int, int]  # line and column, from 1


class Look(NamedTuple):
    """Foreground and background as their codes, empty for the terminal's own; the attributes that are on, in order."""

    fore: str = ""
    back: str = ""
    attributes: tuple[str, ...] = ()


PLAIN = Look()


@lru_cache(8192)
def way(before: Look | None, to: Look) -> str:
    """The shortest sequence from one style to another; `before` is None where nobody knows it."""
    if before == to:
        return ""
    parts = [*to.attributes, *filter(None, (to.fore, to.back))]
    whole = f"\x1b[{';'.join(['0', *parts])}m" if parts else "\x1b[0m"
    if before is None:
        return whole
    changed = sorted({OFF[word] for word in before.attributes if word not in to.attributes})
    left = [word for word in before.attributes if OFF[word] not in changed]
    changed += [word for word in to.attributes if word not in left]
    changed += [to.fore or "39"] if to.fore != before.fore else []
    changed += [to.back or "49"] if to.back != before.back else []
    return min(whole, f"\x1b[{';'.join(changed)}m", key=len)


@lru_cache(8192)
def without_letters(look: Look) -> Look:
    """What is seen of a style where there are only spaces; of a reversed one, all."""
    if "7" in look.attributes:
        return look
    return Look(UNSEEN, look.back, tuple(word for word in look.attributes if word in VISIBLE))


def together(first: Look, second: Look) -> Look | None:
    """The style in which cells of both can be written, one of which has only spaces; None if there is none."""
    if first == second or without_letters(first) == second:
        return first
    return second if without_letters(second) == first else None


class Line:
    """What is known of one line of a terminal, from its left edge on: a letter and a style for each cell."""

    def __init__(self, text: str = "", looks: Sequence[Look] = ()) -> None:
        self.text, self.looks = text, list(looks)

    def copied(self) -> Line:
        """One that can become another."""
        return Line(self.text, self.looks)

    def has(self, at: int, text: str, look: Look) -> bool:
        """Whether that is there already."""
        end = at + len(text)
        return self.text[at:end] == text and self.looks[at:end] == _looks(text, look)

    def write(self, at: int, text: str, look: Look) -> None:
        """It is there now."""
        gap = max(0, at - len(self.text))
        self.text = self.text[:at] + UNKNOWN * gap + text + self.text[at + len(text) :]
        self.looks += [PLAIN] * gap
        self.looks[at : at + len(text)] = _looks(text, look)

    def cut(self, at: int) -> None:
        """What comes from there on is not known any more."""
        self.text, self.looks = self.text[:at], self.looks[:at]


def _looks(text: str, look: Look) -> list[Look]:
    blank = without_letters(look)
    return [look] * len(text) if blank == look else [blank if letter == " " else look for letter in text]


class Stretch(NamedTuple):
    """Cells beside each other that are written in one style; spaces that are `erased` leave the cursor before them."""

    row: int
    column: int
    text: str
    look: Look
    erased: bool = False


def stretches(shown: Mapping[int, Line], wanted: Mapping[int, Line], erases: bool) -> list[Stretch]:
    """What differs between lines that are shown and those that are wanted, from top left to bottom right."""
    found: list[Stretch] = []
    for row in sorted(wanted):
        for stretch in _of_line(row, shown.get(row) or Line(), wanted[row]):
            found += _erased(stretch) if erases else [stretch]
    return found


def _of_line(row: int, shown: Line, wanted: Line) -> Iterator[Stretch]:
    """A few cells between two others are written again where that is shorter than a move of the cursor."""
    begin = end = 0
    look: Look | None = None
    for at in _others(shown, wanted):
        between = wanted.text[end:at]
        joined = look
        if look is not None and len(between.encode()) <= MOVE and UNKNOWN not in between:
            for cell in wanted.looks[end : at + 1]:
                joined = joined and together(joined, cell)
        else:
            joined = None
        if joined is None:
            if look is not None:
                yield Stretch(row, begin + 1, wanted.text[begin:end], look)
            begin, joined = at, wanted.looks[at]
        look, end = joined, at + 1
    if look is not None:
        yield Stretch(row, begin + 1, wanted.text[begin:end], look)


def _others(shown: Line, wanted: Line) -> Iterator[int]:
    """The places of cells that are others."""
    if shown.text == wanted.text and shown.looks == wanted.looks:
        return
    known = len(shown.text)
    for at, (letter, look) in enumerate(zip(wanted.text, wanted.looks, strict=True)):
        if letter != UNKNOWN and (at >= known or shown.text[at] != letter or shown.looks[at] != look):
            yield at


def _erased(stretch: Stretch) -> Iterator[Stretch]:
    """The same with its long gaps erased."""
    row, column, text, look, _ = stretch
    at = 0
    if not VISIBLE.intersection(look.attributes):
        for gap in ERASED.finditer(text):
            if gap.start() > at:
                yield Stretch(row, column + at, text[at : gap.start()], look)
            yield Stretch(row, column + gap.start(), gap[0], without_letters(look), True)
            at = gap.end()
    if at < len(text):
        yield Stretch(row, column + at, text[at:], look)


def written(
    found: Sequence[Stretch], cursor: Place | None, look: Look | None, by_style: bool, width: int
) -> tuple[str, Place | None, Look | None]:
    """The sequences for stretches, line by line or style by style; where the cursor stands after, and its style.

    `cursor` and `look` are those before; None where nobody knows them. At least `width` columns there are.
    """
    parts = []
    for stretch in _by_style(found, look) if by_style else found:
        place = stretch.row, stretch.column
        parts += [move(cursor, place, width)]
        needed = stretch.look
        if look is not None and together(look, needed) == look:
            needed = look  # of spaces nobody sees the colour
        elif needed.fore == UNSEEN:
            needed = needed._replace(fore=look.fore if look is not None else "")
        parts += [way(look, needed)]
        parts += [f"\x1b[{len(stretch.text)}X" if stretch.erased else stretch.text]
        cursor = place if stretch.erased else (stretch.row, stretch.column + len(stretch.text))
        look = needed
    return "".join(parts), cursor, look


def _by_style(found: Sequence[Stretch], look: Look | None) -> list[Stretch]:
    """Those of the style at hand first; spaces among letters on the same background."""
    groups: dict[Look, list[Stretch]] = {look: []} if look is not None else {}
    for stretch in found:
        if stretch.look.fore != UNSEEN:
            groups.setdefault(stretch.look, []).append(stretch)
    for stretch in (stretch for stretch in found if stretch.look.fore == UNSEEN):
        fitting = next((style for style in groups if together(style, stretch.look) == style), stretch.look)
        groups.setdefault(fitting, []).append(stretch)
    return [stretch for group in groups.values() for stretch in sorted(group)]


def move(cursor: Place | None, place: Place, width: int) -> str:
    """The shortest sequence from one place to another; a cursor behind the last column may stand before it."""
    if cursor == place:
        return ""
    row, column = place
    there = f"\x1b[{row};{column}H" if column > 1 else f"\x1b[{row}H"
    if cursor is None or cursor[1] > width or row - cursor[0] not in (0, 1):
        return there
    return min(there, DOWN * (row - cursor[0]) + _along(column - cursor[1]), key=len)


def _along(columns: int) -> str:
    """So many columns to the right, or to the left where they are fewer than none."""
    if columns > 0:
        return f"\x1b[{columns}C" if columns > 1 else "\x1b[C"
    return min("\b" * -columns, f"\x1b[{-columns}D", key=len)
