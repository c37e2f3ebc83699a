"""JSON values out of a file of any size, one at a time: what a file says never ends the process, nor fills its memory.

Python's own decoder reads each value whole (of at most `LONGEST` characters, and as deep as it allows); between them a
window moves over the file.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, BinaryIO

from gemmalocal.documents.document import Unreadable
from gemmalocal.documents.lines import LONGEST, NOT_UTF8, OnProgress

BLOCK = 1 << 18  # bytes that are read at once
WHITE = " \t\n\r"
BLANK = re.compile(r"[ \t\n\r]*")
OPENING = re.compile(r'\{\s*"[^"\\]{1,80}"\s*:')
COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(")?|[\[\]{}]', re.DOTALL)  # the group: a string's end
WORD = re.compile(r"[^,\[\]{}]*")
INDENT = 64  # characters, the most that are looked at
NEAR = 16  # characters before the end of a window in which an error may only mean that the window ends


class VerbatimNumber(float):
    """A number that is not written as Python writes it: `4.50`, `1e400`. As text it is what was written."""

    def __new__(cls, digits: str) -> VerbatimNumber:
        """The number in `digits`."""
        number = super().__new__(cls, digits)
        number.digits = digits
        return number

    digits: str

    def __str__(self) -> str:
        return self.digits


def _number(digits: str) -> float:
    number = float(digits)
    return number if repr(number) == digits else VerbatimNumber(digits)


def _whole(digits: str) -> int | str:
    """An integer; of more digits than Python turns into text again, the text."""
    try:
        return int(digits)
    except ValueError:
        return digits


def _no_number(name: str) -> None:
    """NaN and the infinities are not JSON: they are null."""


QUICK = json.JSONDecoder(parse_float=_number, parse_constant=_no_number)
ANY = json.JSONDecoder(parse_float=_number, parse_constant=_no_number, parse_int=_whole)  # integers of any length


def decode(text: str) -> Any:
    """The one value that a text is; raises `Unreadable` with the reason."""
    try:
        try:
            value = QUICK.decode(text)
        except json.JSONDecodeError:
            raise
        except ValueError:
            value = ANY.decode(text)
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not JSON: {error.msg} (column {error.colno})") from error
    except RecursionError as error:
        raise Unreadable("is not JSON that can be read: it is nested too deeply") from error
    if _pairs(text, 0, len(text)):
        _whole_characters(value)
    return value


def _pairs(text: str, start: int, end: int) -> bool:
    """Whether there are escapes that may be half of a pair, which is no text."""
    if text.find("\\", start, end) < 0:
        return False
    return text.find("\\ud", start, end) >= 0 or text.find("\\uD", start, end) >= 0


def _together(text: str) -> list[Any]:
    """Values with a comma behind each; none if it is anything else."""
    values: list[Any]
    text = text.rstrip(WHITE)
    if text[-1:] != ",":
        return []
    try:
        values, end = QUICK.scan_once(f"[{text[:-1]}]", 0)  # type: ignore[attr-defined]
    except (StopIteration, ValueError, RecursionError):
        return []
    return values if end == len(text) + 1 else []


def _sound(values: list[Any]) -> bool:
    try:
        _whole_characters(values)
    except Unreadable:
        return False
    return True


def _whole_characters(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        stray = ord(error.object[error.start])
        if 0xDC80 <= stray <= 0xDCFF:  # a byte that was no text
            raise Unreadable(f"{NOT_UTF8}: it has the byte 0x{stray - 0xDC00:02x}") from error
        raise Unreadable("has half a character: a lone surrogate") from error
    except RecursionError as error:
        raise Unreadable("is not JSON that can be read: it is nested too deeply") from error


class Broken(Unreadable):
    """A value that cannot be read, and the line that says so."""

    def __init__(self, why: str, line: int, long: bool = False) -> None:
        super().__init__(why)
        self.line, self.long = line, long  # longer than may be held


class Values:
    """A place in a file of JSON, that moves on."""

    def __init__(self, raw: BinaryIO, on_progress: OnProgress) -> None:
        self._raw, self._on_progress = raw, on_progress
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._position, self._ended, self._damaged = "", 0, False, False
        self._lines = 1  # the line in which the window begins

    @property
    def line(self) -> int:
        """The line of the place, from 1."""
        return self.line_at(self._position)

    def line_at(self, position: int) -> int:
        """The line of a place in the window."""
        return self._lines + self._text.count("\n", 0, position)

    @property
    def ended(self) -> bool:
        """Whether nothing is left but white space."""
        return not self.peek()

    def peek(self) -> str:
        """The next character that is no white space; "" at the end."""
        while True:
            match = BLANK.match(self._text, self._position)
            self._position = match.end() if match else self._position
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._more():
                return ""

    def take(self, mark: str) -> bool:
        """Pass over a mark, if it is the next."""
        if self.peek() != mark:
            return False
        self._position += 1
        return True

    def value(self) -> Any:
        """The next value; raises `Broken`, and stays before it."""
        self.peek()
        while True:
            try:
                value, end = self._scanned()
            except json.JSONDecodeError as error:
                if self._cut(error) and self._grown():
                    continue
                if error.pos >= len(self._text):
                    raise Broken("is not JSON: the file ends within it (it may be cut off)", self.line) from error
                raise Broken(f"is not JSON: {error.msg}", self.line_at(error.pos)) from error
            except RecursionError as error:
                raise Broken("is not JSON that can be read: it is nested too deeply", self.line) from error
            # What ends with the window may go on behind it, as 12 of 123 does: then it is decoded anew.
            if end < len(self._text) or not self._grown():
                break
        start, self._position = self._position, end
        if self._damaged or _pairs(self._text, start, end):
            try:
                _whole_characters(value)
            except Unreadable as problem:
                self._position = start
                raise Broken(str(problem), self.line) from problem
        return value

    def run(self, opening: str) -> list[Any]:
        """The next values, as far as each stands whole in the window with a comma behind it; none where one is odd.

        Most are decoded together: those up to the last that begins with the `opening`, if that is one of them.
        """
        text, position = self._text, self._position
        last = text.rfind(opening, position + 1) if opening else -1
        values = _together(text[position:last]) if last > 0 else []
        alone = not values
        position = position if alone else last
        try:
            while alone:
                value, end = QUICK.scan_once(text, position)  # type: ignore[attr-defined]
                if (comma := COMMA.match(text, end)) is None:
                    break
                values.append(value)
                position = comma.end()
        except (StopIteration, ValueError, RecursionError):
            pass  # `value` says what is wrong, or reads on
        if not values or self._damaged or (_pairs(text, self._position, position) and not _sound(values)):
            return []
        self._position = position
        return values

    def _scanned(self) -> tuple[Any, int]:
        try:
            return QUICK.raw_decode(self._text, self._position)
        except json.JSONDecodeError:
            raise
        except ValueError:
            return ANY.raw_decode(self._text, self._position)

    def _cut(self, error: json.JSONDecodeError) -> bool:
        """Whether the window's end may be the only fault."""
        return error.msg.startswith("Unterminated string") or error.pos > len(self._text) - NEAR

    def _grown(self) -> bool:
        """Whether there is more, and it may be held: the value at hand is no longer than `LONGEST`."""
        if len(self._text) - self._position > LONGEST:
            raise Broken(f"is longer than {LONGEST >> 20} MB", self.line, long=True)
        return self._more(max(BLOCK, len(self._text) - self._position))

    def _more(self, size: int = BLOCK) -> bool:
        """Read on; what is behind the place is let go."""
        block = b"" if self._ended else self._raw.read(size)
        self._ended = self._ended or not block
        try:
            more = self._decoder.decode(block, self._ended)
        except UnicodeDecodeError:
            # From here on a byte that is no text becomes a lone surrogate, which `_whole_characters` refuses.
            self._damaged = True
            pending, _ = self._decoder.getstate()
            self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
            more = self._decoder.decode(pending + block, self._ended)
        self._lines += self._text.count("\n", 0, self._position)
        self._text, self._position = self._text[self._position :] + more, 0
        if block:
            self._on_progress(self._raw.tell())
        return bool(more) or not self._ended

    def skip(self, in_window: bool = True) -> bool:
        """Go behind the value at hand by its brackets alone; False, where its end is not in sight.

        Then the place has not moved, if it was to stay `in_window`; else a value may be of any length.
        """
        if self.peek() not in '"[{':
            match = WORD.match(self._text, self._position)
            # A stray bracket is passed over alone.
            self._position = max(self._position + 1, match.end() if match else 0)
            return True
        depth, ahead = 0, 0  # counted from the place, which a new window moves
        while True:
            match = TOKEN.search(self._text, self._position + ahead)
            if match is None or (match[0][0] == '"' and match[1] is None):  # a window may end within a string
                if (in_window and len(self._text) - self._position > LONGEST) or not self._more():
                    return False
                continue
            ahead = match.end() - self._position
            depth += (match[0] in "{[") - (match[0] in "}]")
            if depth <= 0 or not in_window:
                self._position, ahead = self._position + ahead, 0
            if depth <= 0:
                return True

    def find(self, mark: str) -> bool:
        """Go to the next `mark` behind the place; False (and to the end) if there is none."""
        self._position += 1
        while (position := self._text.find(mark, self._position)) < 0:
            self._position = max(self._position, len(self._text) - len(mark) + 1)
            if not self._more():
                self._position = len(self._text)
                return False
        self._position = position
        return True

    @property
    def indent(self) -> str | None:
        """What stands before the place in its line, if that is white space alone (and known)."""
        before = self._text[max(0, self._position - INDENT) : self._position]
        _, end, indent = before.rpartition("\n")
        return indent if end and not indent.strip() else None

    @property
    def opening(self) -> str:
        """How the value at hand begins, up to its first key, if it is an object; else ""."""
        match = OPENING.match(self._text, self._position)
        return match[0] if match else ""

    @property
    def rest(self) -> int:
        """About how many bytes are left behind the place."""
        position = self._raw.tell()
        size = self._raw.seek(0, 2)
        self._raw.seek(position)
        return size - position + len(self._text) - self._position
