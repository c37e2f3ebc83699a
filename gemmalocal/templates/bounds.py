"""How much a template may do: turns of its loops, seconds, and characters that it makes, each looked at as it goes.

A template comes with a model or from a person, and runs in this process, where nothing else could stop it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2.exceptions import TemplateRuntimeError

TURNS = 2_000_000  # of loops and macros
SECONDS = 10.0  # of this thread's own time, so that a busy machine does not count
CHARACTERS, OF_EACH = 20_000_000, 50  # made in one go, and as many more for each that was given
ITEM = 8  # characters that an item of a list counts as
WIDTH = 1_000_000  # the largest number that may say how wide, or how many
INDENT = 64  # of JSON, in front of each of its lines
DIGITS = 100_000  # binary ones, of a whole number
LARGE = 100_000  # characters after which it is time to look at the clock
LOOK = 1024  # turns between two looks at the clock

WIDE = re.compile(r"\d{7,}|\*")  # in what text is formatted by
NUMBERS = re.compile(r"\d+")
FIELD = re.compile(r"\{[^{}]*\}")
GROWING = ("batch", "center", "format", "indent", "slice", "tojson", "wordwrap")  # filters with a width or a count
SPELLED = ("string", "pprint", "tojson")  # filters that write out a value whole
LOOKED_AT = (*GROWING, *SPELLED, "join", "sum", "replace", "urlize")  # filters, before they are applied
NESTED = (list, tuple, Mapping)  # what may hold the same thing twice


class Exceeded(TemplateRuntimeError):
    """A template that does too much; the message says what, as a verb's phrase."""


class Meter:
    """What one rendering has done so far; raises `Exceeded` before it is too much."""

    def __init__(self) -> None:
        self.start(0)

    def start(self, characters: int) -> None:
        """Begin with nothing done; `characters` is how many characters the template is about."""
        self._turns = self._characters = 0
        self._limit = CHARACTERS + OF_EACH * characters
        self._end = time.thread_time() + SECONDS

    def turn(self, literal: int) -> None:
        """One more turn of a loop or a macro, whose body has so many characters of its own."""
        self._turns += 1
        self._characters += literal
        if self._turns > TURNS:
            raise Exceeded(f"does not end: its loops were stopped after {TURNS:,} turns")
        if self._turns % LOOK == 0:
            self._look()
            self.will_make(0)

    def text(self, value: str) -> str:
        """A text that is new, as it is."""
        self._characters += len(value)
        if self._characters > self._limit:
            self.will_make(0)
        return value

    def counted(self, value: Any) -> Any:
        """A value that is new, as it is."""
        if isinstance(value, str | bytes):
            self.will_make(len(value))
        elif isinstance(value, list | tuple):
            self.will_make(ITEM * len(value))
        return value

    def will_make(self, count: int) -> None:
        """So many characters are about to be there."""
        self._characters += count
        if self._characters > self._limit:
            raise Exceeded(f"makes too much text: more than {self._limit:,} characters")
        if count > LARGE:
            self._look()

    def _look(self) -> None:
        if time.thread_time() > self._end:
            raise Exceeded(f"does not end: it was stopped after {SECONDS:.0f} seconds")

    def within_limit(self, value: Any) -> Any:
        """A list or a mapping, as it is, if its text would not be too long: what it holds twice counts twice."""
        count, waiting = 0, [value]
        while waiting:
            part = waiting.pop()
            if isinstance(part, Mapping):
                waiting += [*part, *part.values()]
            elif isinstance(part, list | tuple):
                waiting += part
            count += len(part) if isinstance(part, str) else ITEM
            if count > self._limit:
                raise Exceeded(f"makes too much text: more than {self._limit:,} characters")
        return value

    def combine(self, operator: str, left: Any, right: Any) -> None:
        """Look at the sides of +, *, ** or % before they are combined."""
        if operator == "%" and isinstance(left, str | bytes):
            self.format(left, [right])
        elif isinstance(left, int) and isinstance(right, int):
            digits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
            if operator in ("*", "**") and digits > DIGITS:
                raise Exceeded("makes a number that is too large")
        elif operator == "*":
            count, sized = (left, right) if isinstance(left, int) else (right, left)
            if isinstance(count, int) and isinstance(sized, str | bytes | list | tuple):
                self.will_make(max(0, count) * len(sized) * (1 if isinstance(sized, str | bytes) else ITEM))

    def format(self, pattern: str | bytes, arguments: Iterable[Any]) -> None:
        """Look at what text is to be formatted by, and with."""
        text = pattern if isinstance(pattern, str) else pattern.decode("latin-1")
        if WIDE.search(text):
            raise Exceeded("formats to a width that is too large")
        longest = max((len(part) for part in _texts(arguments)), default=0)
        self.will_make(sum(map(int, NUMBERS.findall(text))) + longest * (text.count("%") + text.count("{")))

    def method(self, name: str, owner: str | bytes | int, arguments: Iterable[Any]) -> None:
        """Look at a method of a text or a number before it is called."""
        values = list(arguments)
        if name in ("format", "format_map") and isinstance(owner, str):
            self.format(owner, values)
            if owner.count("{") == len(FIELD.findall(owner)):  # no width is an argument
                return
        self._narrow(values)
        if isinstance(owner, str | bytes):
            self._grow(name, owner, values)

    def filter(self, name: str, arguments: Iterable[Any]) -> None:
        """Look at a filter's arguments, the value first, before it is applied."""
        values = list(arguments)
        if not values:
            return
        if name in GROWING:
            self._narrow(values[1:], INDENT if name == "tojson" else WIDTH)
        if name in SPELLED:
            self.within_limit(values[0])
        if name == "format":
            self.format(str(values[0]), values[1:])
        if isinstance(values[0], str):
            self._grow(name, values[0], values[1:])

    def before_join(self, parts: list[Any], separator: Any) -> None:
        """Look at what is to be joined."""
        self.will_make(sum(len(part) for part in parts if isinstance(part, str)) + len(parts) * len(str(separator)))

    def before_sum(self, parts: list[Any]) -> None:
        """Look at what is to be added up: of lists each sum is a new one."""
        items = sum(len(part) for part in parts if isinstance(part, list | tuple))
        self.will_make(items * len(parts))

    def _narrow(self, values: Iterable[Any], limit: int = WIDTH) -> None:
        for value in values:
            if isinstance(value, Mapping):
                self._narrow(value.values(), limit)
            elif isinstance(value, int) and abs(value) > limit:
                raise Exceeded(f"asks for a width or a count of more than {limit:,}")

    def _grow(self, name: str, text: str | bytes, arguments: list[Any]) -> None:
        """What makes a text longer by a factor."""
        if name == "replace" and len(arguments) > 1 and isinstance(arguments[0], str) and isinstance(text, str):
            count = text.count(arguments[0]) if arguments[0] else len(text) + 1
            self.will_make(count * len(str(arguments[1])))
        elif name in ("indent", "wordwrap", "expandtabs", "urlize"):
            widths = [
                value if isinstance(value, int) else len(value) for value in arguments if isinstance(value, int | str)
            ]
            self.will_make(max([8, *widths]) * _widths_put(name, text))


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """The texts among values, and in tuples and mappings of them."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _texts(value.values())
        elif isinstance(value, list | tuple):
            yield from _texts(value)


def _widths_put(name: str, text: str | bytes) -> int:
    """Where a width is put in, at most."""
    whole = text if isinstance(text, str) else text.decode("latin-1")
    if name == "indent":
        return len(whole.splitlines()) + 1
    return whole.count("\t") + 1 if name == "expandtabs" else len(whole.split()) + 1 if name == "urlize" else len(whole)
