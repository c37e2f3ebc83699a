"""Fewer bytes for the same picture: only what is not there already is sent, in styles that say only what changes.

Rich ends each piece of text with a reset and begins the next with all of its style, some 45 bytes for a colour that the
terminal has already; and Textual paints whole widgets where a word has changed. Over SSH that is what one waits for.
Here what each cell of the terminal shows is remembered, and what it shows already is left out.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.cells import cell_len

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
VISIBLE = frozenset(("4", "7", "9", "21", "53"))  # attributes that are seen where there is no letter
ERASED = 12  # spaces from which it is shorter to have them erased
OFF = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "7": "27", "8": "28", "9": "29", "21": "24", "53": "55"}


class Look(NamedTuple):
    """Foreground and background as their codes, empty for the terminal's own; the attributes that are on, in order."""

    fore: str = ""
    back: str = ""
    attributes: tuple[str, ...] = ()


PLAIN = Look()


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
    """What is seen of a style where there are only spaces."""
    return Look("", look.back, tuple(word for word in look.attributes if word in VISIBLE))


@lru_cache(8192)
def on(look: Look, back: str) -> Look:
    """A style on another background."""
    return look._replace(back=back)


class Line:
    """What is known of one line of the terminal, from its left edge on; a cell that is not known has a NUL."""

    def __init__(self) -> None:
        self.text, self.looks = "", [PLAIN] * 0

    def differs(self, at: int, text: str, look: Look) -> tuple[int, int]:
        """From where to where in `text` it is not there already; an empty range if all is."""
        end = at + len(text)
        old, looks = self.text[at:end], self.looks[at:end]
        if len(old) < len(text):
            return 0, len(text)
        if old == text and looks == [look] * len(text):
            return 0, 0
        begin, last = 0, len(text)
        while old[begin] == text[begin] and looks[begin] == look:
            begin += 1
        while old[last - 1] == text[last - 1] and looks[last - 1] == look:
            last -= 1
        return begin, last

    def write(self, at: int, text: str, look: Look) -> None:
        """It is there now."""
        gap = at - len(self.text)
        self.text = self.text[:at] + "\0" * gap + text + self.text[at + len(text) :]
        self.looks += [PLAIN] * gap
        self.looks[at : at + len(text)] = [look] * len(text)

    def cut(self, at: int) -> None:
        """What comes from there on is not known any more."""
        self.text, self.looks = self.text[:at], self.looks[:at]


class Shortener:
    """Remembers what the terminal shows, where its cursor stands, and the style that it has.

    One that `erases` gives cells that it erases the background of its style.
    """

    def __init__(self, erases: bool = False) -> None:
        self._erases = erases
        self.forget()

    def forget(self) -> None:
        """Somebody else has written to the terminal, or it has another size."""
        self._is: Look | None = None
        self._lines: dict[int, Line] = {}
        self._cursor: tuple[int, int] | None = None  # line and column from 1, where it really stands
        self._at: tuple[int, int] | None = None  # where it would stand if all had been sent
        self._exact = False  # whether the widths of what was written on this line since it moved there are known

    def short(self, data: str) -> str:
        """The same for the eye, in fewer bytes; at its end cursor and style are as they were to be."""
        wanted, parts, at = self._is, [""], 0
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
        self._go(parts)
        parts.append(self._to(wanted))
        return "".join(parts)

    def _style(self, sequence: str, codes: str, wanted: Look | None, parts: list[str]) -> Look | None:
        """The style from here on; one that is not understood is sent as it is."""
        then = after(wanted or PLAIN, codes)
        if then is not None and (wanted is not None or (codes or "0").split(";")[0].strip("0") == ""):
            return then
        parts += [self._to(wanted), sequence]
        self._is = None
        return None

    def _text(self, text: str, look: Look | None, parts: list[str]) -> None:
        if self._at is None or look is None or not self._exact or cell_len(text) != len(text):
            self._whole(text, look, parts)
            return
        row, column = self._at
        blank = not text.strip(" ")
        seen = without_letters(look) if blank else look
        line = self._lines.setdefault(row, Line())
        begin, end = line.differs(column - 1, text, seen)
        if begin < end:
            self._at = row, column + begin
            self._go(parts)
            parts.append(self._to_blank(look) if blank else self._to(look))
            line.write(column - 1, text, seen)
            if self._erases and blank and end - begin >= ERASED and not seen.attributes:
                parts.append(f"\x1b[{end - begin}X")  # the cursor stays
            else:
                parts.append(text[begin:end])
                self._cursor = row, column + end
        self._at = row, column + len(text)

    def _whole(self, text: str, look: Look | None, parts: list[str]) -> None:
        """Text whose width, place or style nobody knows for sure; so is what follows on its line."""
        self._go(parts)
        parts += [self._to(look), text]
        if self._at is not None and self._at[0] in self._lines:
            self._lines[self._at[0]].cut(self._at[1] - 1)
        self._exact, self._cursor = False, None

    def _other(self, sequence: str, look: Look | None, parts: list[str]) -> None:
        if HARMLESS.fullmatch(sequence):
            parts.append(sequence)
        elif sequence in "\r\n" and self._at is not None and self._exact:
            row, column = self._at
            self._at = (row, 1) if sequence == "\r" else (row + 1, column)
        else:
            self._go(parts)
            parts += [self._to(look), sequence]
            self._lines, self._cursor, self._at, self._exact = {}, None, None, False

    def _go(self, parts: list[str]) -> None:
        """The cursor, where it is to stand, if that is known."""
        if self._at is not None and self._exact and self._at != self._cursor:
            parts.append(f"\x1b[{self._at[0]};{self._at[1]}H")
            self._cursor = self._at

    def _to(self, wanted: Look | None) -> str:
        if wanted is None:
            return ""
        sequence, self._is = way(self._is, wanted), wanted
        return sequence

    def _to_blank(self, wanted: Look) -> str:
        """The same for spaces, whose foreground nobody sees."""
        now = self._is
        if now is None or VISIBLE.intersection((*now.attributes, *wanted.attributes)):
            return self._to(wanted)
        return self._to(on(now, wanted.back))


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
