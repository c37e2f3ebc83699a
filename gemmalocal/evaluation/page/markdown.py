"""A report as Markdown: what others wrote stands in fences that it cannot close."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gemmalocal.evaluation.page.content import Block, Curve, Heading, Paragraph, Table, Texts, blocks, inert

MARKUP = re.compile(r"([\\`*_\[\]<>|#&~])")


def page(figures: Mapping[str, Any]) -> str:
    """The whole of it."""
    parts = [f"# Did {_plain(figures['run'])} help?", *(_rendered(block) for block in blocks(figures))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _rendered(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {text}"
        case Paragraph(text, strong):
            return f"**{_plain(text)}**" if strong else _plain(text)
        case Table():
            return "\n".join(_table(block))
        case Texts(title, texts):
            return "\n\n".join([f"### {_plain(title)}", *(f"{label}:\n\n{_fenced(text)}" for label, text in texts)])
        case Curve():
            return ""


def _table(table: Table) -> Iterator[str]:
    yield _line(table.head)
    yield "| --- |" + (" --- |" if table.words else " ---: |") * (len(table.head) - 1)
    for row in table.rows:
        yield _line(row)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(text: str) -> str:
    """A text on one line that is no markup."""
    return MARKUP.sub(r"\\\1", " ".join(inert(text).split()))


def _fenced(text: str) -> str:
    text = inert(text)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"
