"""A stand-in until the readers are merged: text and Markdown, cut along headings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gemmalocal.documents.document import Document, Passage, Section
from gemmalocal.errors import DocumentError


def find(sources: Sequence[str]) -> list[str]:
    found: list[str] = []
    for source in sources:
        place = Path(source)
        found += sorted(str(file) for file in place.rglob("*") if file.is_file()) if place.is_dir() else [source]
    return found


def read(source: str, password: str | None = None) -> Document:
    if Path(source).suffix not in (".md", ".txt"):
        raise DocumentError(f"{source} is not of a kind that can be read.")
    try:
        text = Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"{source} cannot be read: {error}") from error
    parts = re.split(r"(?m)^#+ +(.*)$", text)
    pairs = zip(["", *parts[1::2]], parts[0::2], strict=True)
    sections = tuple(Section(body.strip(), heading) for heading, body in pairs if body.strip())
    return Document(source, Path(source).stem, sections)


def cut(document: Document, tokenizer: Any, most: int) -> Iterator[Passage]:
    number = 0
    for section in document.sections:
        held = ""
        for block in section.text.split("\n\n"):
            if held and len(tokenizer.encode(held + block).ids) > most:
                yield Passage(document.source, number, held, section.heading, section.page)
                number, held = number + 1, ""
            held = f"{held}\n\n{block}".strip()
        yield Passage(document.source, number, held, section.heading, section.page)
        number += 1
