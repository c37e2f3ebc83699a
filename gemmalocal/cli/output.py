"""The only way out of the command line: what is not styled here is foreign, and passes the border.

stdout is data, stderr is narration. A test holds that no other module of this folder prints.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

import click

from gemmalocal.errors import OutputLost, OutputUnwanted
from gemmalocal.jobs import terminal_text

NARROW = 40  # cells that a line is never cut below
START_OF_LINE = "\r\033[K"  # and what was on it away


class StyledText(str):
    """Text that has passed the border, with our own styles; joined with other text it is foreign again."""

    __slots__ = ()


def styled(text: str, **style: Any) -> StyledText:
    """Foreign text in a style of `click.style`, without its colours where those are unwanted (https://no-color.org)."""
    if os.environ.get("NO_COLOR"):
        style = {name: value for name, value in style.items() if name not in ("fg", "bg")}
    return StyledText(click.style(shown(text), **style))


def joined(*parts: str, by: str = "") -> StyledText:
    """Parts, styled or foreign, as one text."""
    return StyledText(by.join(map(shown, parts)))


def page(lines: Iterable[str]) -> StyledText:
    """Lines, styled or foreign, one below the other."""
    return joined(*lines, by="\n")


def shown(text: str) -> StyledText:
    """As it may be printed."""
    return text if isinstance(text, StyledText) else StyledText(terminal_text.visible(text))


def say(*parts: str, err: bool = False) -> None:
    """Print parts as a line, or a block of them; raises `OutputLost`, `OutputUnwanted`."""
    _print(joined(*parts), err)


def note(*parts: str) -> None:
    """The same to stderr: narration."""
    _print(joined(*parts), True)


def rewrite_line(text: str) -> None:
    """One line of narration in place of the one that the cursor is on; it stays there."""
    width = shutil.get_terminal_size().columns - 1
    _print(StyledText(START_OF_LINE + terminal_text.on_line(text, max(NARROW, width))), True, newline=False)


def clear_line() -> None:
    """The line that the cursor is on, away."""
    _print(StyledText(START_OF_LINE), True, newline=False)


def say_json(value: object) -> None:
    """Print a value as one line of JSON."""
    _print(StyledText(terminal_text.as_json(value)), False)


def say_json_line(line: str) -> None:
    """Print a line that is JSON already."""
    _print(StyledText(terminal_text.json_line(line)), False)


def _print(text: StyledText, err: bool, newline: bool = True) -> None:
    try:
        click.echo(text, err=err, nl=newline)
    except OSError as error:
        abandon(sys.stderr if err else sys.stdout)
        if error.errno in (errno.EPIPE, errno.ECONNRESET):
            raise OutputUnwanted("The program that read this output has ended.") from error
        where = "stderr" if err else "stdout"
        raise OutputLost(f"The output cannot be written to {where}: {error.strerror}.", "Send it elsewhere.") from error


def abandon(stream: TextIO) -> None:
    """Let what is still to be printed there go nowhere, or Python fails with it once more when it ends."""
    with suppress(OSError, ValueError):  # it may be no file at all
        _lead_nowhere(stream.fileno())


def flush() -> None:
    """Let nothing be left to print, nor to fail, when Python ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            abandon(stream)


def open_streams() -> None:
    """Standard streams that can be written: closed ones lead nowhere, and no mark is beyond their encoding.

    A file that is opened later would else get a closed one's number, and be taken for it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        stream = getattr(sys, name)
        if stream is None:
            _lead_nowhere(number)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
