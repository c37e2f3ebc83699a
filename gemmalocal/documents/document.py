"""What was read of a file: text by section, each with its heading and page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """Text under one heading, on or from one page (counted from 1; None where a format has none)."""

    text: str
    heading: str = ""
    page: int | None = None


@dataclass(frozen=True)
class Document:
    """`source` is the file as the user named it; `warnings` are sentences about what may be wrong with the text."""

    source: str
    title: str
    sections: tuple[Section, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Passage:
    """A piece of a document that is asked about: `number` counts from 0 within its source, `tokens` are the model's."""

    source: str
    number: int
    text: str
    heading: str = ""
    page: int | None = None
    tokens: int = 0
