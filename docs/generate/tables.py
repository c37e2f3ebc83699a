"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by `make docs` from the code: change it there. -->"


def cell(text: str) -> str:
    """A text inside a table: no bar of its own ends the cell."""
    return " ".join(text.split()).replace("|", "\\|")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    parts = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(map(cell, row))} |" for row in parts]


def code(text: str) -> list[str]:
    """The lines of a block that is shown as it is."""
    return [f"    {line}".rstrip() for line in text.strip("\n").splitlines()]
