"""Rich Text Format, through striprtf."""

from __future__ import annotations

from pathlib import Path

from gemmalocal.documents.document import Content, Section


def read_rtf(file: Path, password: str | None = None) -> Content:
    """The text of it; cells of tables stand apart with " | "."""
    from striprtf.striprtf import rtf_to_text

    text = rtf_to_text(file.read_bytes().decode("latin-1"), errors="replace")
    lines = (" | ".join(cell.strip() for cell in line.rstrip("|").split("|")) for line in text.splitlines())
    return Content("", [Section("\n".join(lines))])
