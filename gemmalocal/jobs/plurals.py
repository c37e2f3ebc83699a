"""Numbers of things in words: one row, two rows."""

from __future__ import annotations


def plural(count: float, noun: str, many: str = "") -> str:
    """The noun as it stands behind that number; `many` where it is not the noun with an s."""
    return noun if count == 1 else many or f"{noun}s"


def counted(count: float, noun: str, many: str = "") -> str:
    """The number, by thousands, and the noun."""
    return f"{count:,} {plural(count, noun, many)}"
