"""A small terminal of our own, and the app in a real pseudo terminal: what it sends, key by key."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.cells import cell_len

from tui.changed_cells import PLAIN, VISIBLE, Look
from tui.lean_output import ESCAPE, after

Cells = dict[tuple[int, int], tuple[str, Look]]  # by line and column


class Terminal:
    """Cells, a cursor and a style: what the sequences that Textual sends do to them."""

    def __init__(self) -> None:
        self.cells: Cells = {}
        self.row = self.column = 1
        self.look: Look | None = PLAIN

    def write(self, data: str) -> None:
        at = 0
        for match in ESCAPE.finditer(data):
            self._print(data[at : match.start()])
            at = match.end()
            codes, row, column, other = match.groups()
            if codes is not None:
                self.look = after(self.look or PLAIN, codes)
            elif row:
                self.row, self.column = int(row), int(column)
            elif other == "\x1b[2J":
                self.cells.clear()
            elif other == "\x1b[K":
                self.cells = {at: cell for at, cell in self.cells.items() if at[0] != self.row or at[1] < self.column}
            elif erased := re.fullmatch(r"\x1b\[(\d+)X", other or ""):
                column = self.column
                self._print(" " * int(erased[1]))
                self.column = column
            else:
                self._move(other or "")
        self._print(data[at:])

    def others(self, before: Cells) -> tuple[Cells, int]:
        """The cells that have become others, and the bytes of their letters."""
        others = {at: cell for at, cell in self.cells.items() if before.get(at) != cell}
        return others, sum(len(letter.encode()) for letter, _ in others.values())

    def _move(self, sequence: str) -> None:
        if along := re.fullmatch(r"\x1b\[(\d*)([CD])", sequence):
            self.column += int(along[1] or 1) * (1 if along[2] == "C" else -1)
        elif line := re.fullmatch(r"\x1b\[(\d+)H", sequence):
            self.row, self.column = int(line[1]), 1
        elif sequence == "\r":
            self.column = 1
        elif sequence == "\b":
            self.column -= 1
        elif sequence in ("\n", "\x1b[B"):
            self.row += 1
        assert self.column >= 1

    def _print(self, text: str) -> None:
        for letter in text:
            look = self.look or PLAIN
            if letter == " " and "7" not in look.attributes:  # its foreground is not seen
                look = Look("", look.back, tuple(word for word in look.attributes if word in VISIBLE))
            self.cells[self.row, self.column] = letter, look
            if cell_len(letter) == 2:
                self.cells.pop((self.row, self.column + 1), None)
            self.column += cell_len(letter)


def read(terminal: int, seconds: float) -> bytes:
    """What comes within so long; a cursor that blinks never ends."""
    parts, end = [], time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            parts.append(os.read(terminal, 1 << 16))
    return b"".join(parts)


@contextmanager
def opened(columns: int, lines: int) -> Iterator[tuple[int, bytes]]:
    """The app in a real terminal, and what it sent until it was still."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    app = subprocess.Popen(
        [sys.executable, "-m", "tui"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    try:
        assert select.select([ours], [], [], 60)[0]
        sent = [read(ours, 1.0)]
        while len(sent[-1]) > 100:  # it opens
            sent.append(read(ours, 1.0))
        yield ours, b"".join(sent)
    finally:
        app.kill()
        app.wait()
        os.close(ours)
        os.close(theirs)


def pressed(terminal: int, key: str) -> bytes:
    os.write(terminal, key.encode())
    assert select.select([terminal], [], [], 60)[0]
    return read(terminal, 0.6)
