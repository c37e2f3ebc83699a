"""Text that came from elsewhere, as a terminal may show it."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with what could steer the terminal, or cannot be seen, written out; a line break too."""
    return "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in text)
