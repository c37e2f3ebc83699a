"""Fewer bytes for the same picture: only cells that are others are sent, in styles that say only what changes.

Rich ends each piece of text with a reset and begins the next with all of its style, some 45 bytes for a colour that the
terminal has already; and Textual paints whole widgets where a word has changed. Over SSH that is what one waits for.
Here what each cell of the terminal shows is remembered, and what it shows already is left out (`changed_cells`).
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from tui.changed_cells import OFF, PLAIN, Line, Look, move, stretches, way, written

if TYPE_CHECKING:
    from textual.driver import Driver

ESCAPE = re.compile(
    r"\x1b\[([0-9;]*)m"  # a style
    r"|\x1b\[(\d+);(\d+)H"  # a move of the cursor
    r"|(\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[P_^X][^\x1b]*\x1b\\|.)|[\x00-\x1f])"  # all else
)
HARMLESS = re.compile(
    r"\x1b\[\?(?:25|2026|2004|2048|100\d|1015)[hl]|\x1b\].*|\x07|\x1b\[[?>].*[np]", re.DOTALL
)  # to cells


@lru_cache(8192)
def after(look: Look, codes: str) -> Look | None:
    """The style that a sequence makes of another; None where it has a code that is not known here."""
    words = codes.split(";") if codes else ["0"]
    at = 0
    while at < len(words):
        word = words[at].lstrip("0") or "0"
        if word in ("38", "48"):
            length = {"2": 5, "5": 3}.get(words[at + 1] if at + 1 < len(words) else "", 0)
            if not length or at + length > len(words):
                return None
            color = ";".join(words[at : at + length])
            look = look._replace(fore=color) if word == "38" else look._replace(back=color)
            at += length
            continue
        changed = _after_one(look, word)
        if changed is None:
            return None
        look, at = changed, at + 1
    return look


def _after_one(look: Look, word: str) -> Look | None:
    number = int(word)
    if number == 0:
        return PLAIN
    if number == 39 or 30 <= number <= 37 or 90 <= number <= 97:
        return look._replace(fore="" if number == 39 else word)
    if number == 49 or 40 <= number <= 47 or 100 <= number <= 107:
        return look._replace(back="" if number == 49 else word)
    if word in OFF.values():
        return look._replace(attributes=tuple(each for each in look.attributes if OFF[each] != word))
    return look._replace(attributes=tuple(sorted({*look.attributes, word}))) if word in OFF else None


class Shortener:
    """Remembers what the terminal shows, where its cursor stands, and the style that it has.

    One that `erases` gives cells that it erases the background of its style.
    """

    def __init__(self, erases: bool = False) -> None:
        self._erases = erases
        self.forget()

    def forget(self) -> None:
        """Somebody else has written to the terminal, or it has another size."""
        self._is: Look | None = None  # the style that the terminal really has
        # The one that it would have if all had been sent, which is said before anything else.
        self._look: Look | None = PLAIN
        self._lines: dict[int, Line] = {}  # as the terminal shows them
        self._wanted: dict[int, Line] = {}  # those of them that are to be others
        self._cursor: tuple[int, int] | None = None  # line and column from 1, where it really stands
        self._at: tuple[int, int] | None = None  # where it would stand if all had been sent
        self._exact = False  # whether the widths of what was written on this line since it moved there are known

    def short(self, data: str) -> str:
        """The same for the eye, in fewer bytes; at its end the cursor stands where it was to stand.

        The style is left as it is until something is sent that is not only cells: the next frame says what it needs.
        """
        wanted, parts, at = self._look, [""], 0
        for match in ESCAPE.finditer(data):
            if match.start() > at:
                self._text(data[at : match.start()], wanted, parts)
            at = match.end()
            codes, line, column, other = match.groups()
            if codes is not None:
                wanted = self._style(match[0], codes, wanted, parts)
            elif line:
                self._at, self._exact = (int(line), int(column)), True
            else:
                self._other(other, wanted, parts)
        if at < len(data):
            self._text(data[at:], wanted, parts)
        self._send(parts)
        self._go(parts)
        self._look = wanted
        return "".join(parts)

    def _style(self, sequence: str, codes: str, wanted: Look | None, parts: list[str]) -> Look | None:
        """The style from here on; one that is not understood is sent as it is."""
        then = after(wanted or PLAIN, codes)
        if then is not None and (wanted is not None or (codes or "0").split(";")[0].strip("0") == ""):
            return then
        self._send(parts)
        parts += [self._to(wanted), sequence]
        self._is = None
        return None

    def _text(self, text: str, look: Look | None, parts: list[str]) -> None:
        if self._at is None or look is None or not self._exact or cell_len(text) != len(text):
            self._whole(text, look, parts)
            return
        row, column = self._at
        line = self._wanted.get(row) or self._lines.get(row)
        if line is None or not line.has(column - 1, text, look):
            if row not in self._wanted:
                self._wanted[row] = line.copied() if line else Line()
            self._wanted[row].write(column - 1, text, look)
        self._at = row, column + len(text)

    def _send(self, parts: list[str]) -> None:
        """The cells that are to be others, in whichever order takes fewer bytes: by lines, or by styles."""
        if not self._wanted:
            return
        found = stretches(self._lines, self._wanted, self._erases)
        width = max(len(line.text) for lines in (self._lines, self._wanted) for line in lines.values())
        ways = [written(found, self._cursor, self._is, by_style, width) for by_style in (False, True)]
        sent, self._cursor, self._is = min(ways, key=lambda way: len(way[0]))
        parts.append(sent)
        self._lines |= self._wanted
        self._wanted = {}

    def _whole(self, text: str, look: Look | None, parts: list[str]) -> None:
        """Text whose width, place or style nobody knows for sure; so is what follows on its line."""
        self._send(parts)
        self._go(parts)
        parts += [self._to(look), text]
        if self._at is not None and self._at[0] in self._lines:
            self._lines[self._at[0]].cut(self._at[1] - 1)
        self._exact, self._cursor = False, None

    def _other(self, sequence: str, look: Look | None, parts: list[str]) -> None:
        if sequence in "\r\n" and self._at is not None and self._exact:
            row, column = self._at
            self._at = (row, 1) if sequence == "\r" else (row + 1, column)
            return
        self._send(parts)
        if HARMLESS.fullmatch(sequence):
            parts.append(sequence)
        else:
            self._go(parts)
            parts += [self._to(look), sequence]
            self._lines, self._cursor, self._at, self._exact = {}, None, None, False

    def _go(self, parts: list[str]) -> None:
        """The cursor, where it is to stand, if that is known."""
        if self._at is not None and self._exact and self._at != self._cursor:
            parts.append(move(self._cursor, self._at, 0))
            self._cursor = self._at

    def _to(self, wanted: Look | None) -> str:
        if wanted is None:
            return ""
        sequence, self._is = way(self._is, wanted), wanted
        return sequence


def erases() -> bool:
    """Whether the terminal, by its name, erases cells in the background of its style."""
    with suppress(ImportError, OSError, ValueError, AttributeError):
        import curses

        with suppress(curses.error):
            curses.setupterm(os.environ.get("TERM") or "dumb", sys.__stdout__.fileno())  # type: ignore[union-attr]
            return curses.tigetflag("bce") == 1 and curses.tigetstr("ech") == b"\x1b[%p1%dX"
    return False


def lean(driver: type[Driver]) -> type[Driver]:
    """A kind of driver that writes fewer bytes."""

    class Lean(driver):  # type: ignore[misc, valid-type]
        def __init__(self, *words: Any, **options: Any) -> None:
            self._shortener = Shortener(erases())
            super().__init__(*words, **options)

        def write(self, data: str) -> None:
            super().write(self._shortener.short(data))

        def forget(self) -> None:
            self._shortener.forget()

        def start_application_mode(self) -> None:
            self.forget()
            super().start_application_mode()

    return Lean
