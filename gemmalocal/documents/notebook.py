"""Jupyter's notebooks: their words, their code, and what it printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemmalocal.documents.document import Content, Unreadable
from gemmalocal.documents.text import decode, markdown

PRINTED = 2_000  # characters of what a cell printed


def read_notebook(file: Path, password: str | None = None) -> Content:
    """Cells in their order, a section a heading; code and what it printed as listings."""
    try:
        book = json.loads(decode(file.read_bytes()))
    except (json.JSONDecodeError, RecursionError) as error:
        raise Unreadable(f"is damaged: {error}", "Save it again.") from error
    if not isinstance(book, dict):
        raise Unreadable("is not a notebook: it has no cells", "Leave it out.")
    language = _get(book, "metadata", "kernelspec", "language") or _get(book, "metadata", "language_info", "name")
    cells = book.get("cells") or [cell for sheet in _list(book.get("worksheets")) for cell in _list(sheet.get("cells"))]
    blocks = (block for cell in _list(cells) for block in _blocks(cell, language or "python"))
    return markdown("\n\n".join(blocks))


def _blocks(cell: dict[str, Any], language: str) -> Iterator[str]:
    source = _joined(cell.get("source", cell.get("input", ""))).strip()
    if not source:
        return
    if cell.get("cell_type") != "code":
        heading = "#" * int(cell.get("level", 1)) + " " if cell.get("cell_type") == "heading" else ""  # of version 3
        yield heading + source
        return
    yield f"```{language}\n{source}\n```"
    for output in _list(cell.get("outputs")):
        data = output.get("data") or {}
        printed = _joined(
            output.get("text") or (data.get("text/plain") if isinstance(data, dict) else "") or ""
        ).strip()
        if printed:
            yield f"```\n{printed[:PRINTED]}\n```"


def _list(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _joined(value: Any) -> str:
    """Lines are stored one by one, or together."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _get(value: Any, *keys: str) -> str:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
