"""Rich Text Format, through striprtf."""

from __future__ import annotations

from pathlib import Path

from gemmalocal.documents.document import Content, Section


def read_rtf(file: Path, password: str | None = None) -> Content:
    """The text of it; cells of tables stand apart with " | "."""
    from striprtf.striprtf import rtf_to_text

    text = rtf_to_text(file.read_bytes().decode("latin-1"), errors="replace")
    return Content("", [Section("\n".join(_row(line) if line.endswith("|") else line for line in text.splitlines()))])


def _row(line: str) -> str:
    """A table's: a bar stands behind each cell."""
    return " | ".join(cell.strip() for cell in line[:-1].split("|"))
