"""The answers of several voices as growing lines: side by side where there is room, else one below the other."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from gemmalocal.jobs.plurals import counted
from gemmalocal.jobs.terminal_text import on_line, visible
from gemmalocal.workspace.transcript import Answer, Exchange

COLUMN = 36  # characters that a column should have at least
GAP = " │ "
WHY = {"end": "", "length": ", cut at the longest", "asked": ", stopped", "idle": ", called nothing"}


class ExchangePage:
    """One exchange, printed line by line: a line is given out once it can change no more.

    Answers stand side by side only where that is `wanted`, not in a file or a pipe.
    """

    def __init__(self, names: list[str], width: int, side_by_side: bool) -> None:
        self._names = names
        column = (width - len(GAP) * (len(names) - 1)) // len(names)
        self._beside = side_by_side and len(names) > 1 and column >= COLUMN
        self._width = column if self._beside else width
        self._given = 0  # rows side by side, or lines in all
        self._lines = self._rows if self._beside else self._stack

    def more(self, exchange: Exchange) -> list[str]:
        """The lines that are new."""
        lines = list(self._lines(exchange))
        new, self._given = lines[self._given :], len(lines)
        return new

    def _rows(self, exchange: Exchange) -> Iterator[str]:
        columns = [self._column(name, answer) for name, answer in zip(self._names, exchange.answers, strict=True)]
        going = [len(lines) for lines, answer in zip(columns, exchange.answers, strict=True) if not answer.done]
        for row in range(min(going) if going else max(map(len, columns))):
            cells = [lines[row] if row < len(lines) else "" for lines in columns]
            yield GAP.join(cell.ljust(self._width) for cell in cells).rstrip()

    def _stack(self, exchange: Exchange) -> Iterator[str]:
        for name, answer in zip(self._names, exchange.answers, strict=True):
            yield from self._column(name, answer)
            if not answer.done:
                return
            yield ""

    def _column(self, name: str, answer: Answer) -> list[str]:
        lines = [
            f"[{on_line(name, self._width - 2)}]",
            *wrapped((answer.shown if answer.done else answer.text).strip("\n"), self._width),
        ]
        if answer.done is None:
            return lines[:-1] or lines[:1]
        return [*lines, *wrapped(figures(answer), self._width)]


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters; what could steer the terminal is written out."""
    return [part for line in visible(text).split("\n") for part in textwrap.wrap(line.expandtabs(), width) or [""]]


def figures(answer: Answer) -> str:
    """How long an answer took."""
    done = answer.done
    assert done is not None
    rate = f", {done.rate:.1f} tok/s" if done.tokens > 1 else ""
    first = f", first after {done.first:.2f} s" if done.tokens else ""
    return f"({counted(done.tokens, 'token')}{rate}{first}{WHY.get(done.stopped, '')})"
