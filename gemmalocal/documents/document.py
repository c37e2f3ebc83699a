"""What was read of a file: text by section, each with its heading and page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gemmalocal.jobs.plurals import counted

BETWEEN = " > "  # the headings of a path


@dataclass(frozen=True)
class Section:
    """Text under one heading, on or from one page (counted from 1; None where a format has none).

    `heading` is a path ("Installation > Linux"); the text begins with the heading's own line where the file has it.
    """

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

    @property
    def text(self) -> str:
        """All of it, with an empty line between sections."""
        return "\n\n".join(section.text for section in self.sections)


@dataclass(frozen=True)
class Passage:
    """A piece of a document that is asked about: `number` counts from 0 within its source, `tokens` are the model's."""

    source: str
    number: int
    text: str
    heading: str = ""
    page: int | None = None
    tokens: int = 0


class Content(NamedTuple):
    """What a reader finds in a file, before it is cleaned; an empty title is none."""

    title: str
    sections: list[Section]
    warnings: tuple[str, ...] = ()


class Hidden(NamedTuple):
    """How many pieces of text were left out because nobody sees them, and their characters."""

    pieces: int
    characters: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence about it, or none."""
        if not self.pieces:
            return ()
        number = counted(self.pieces, "piece")
        return (f"Hidden text was left out: {number}, {counted(self.characters, 'character')}.",)


class Unreadable(Exception):
    """A file, or a piece of one, that cannot be read: the message is why, as a verb's phrase; `hint` the remedy."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.hint = hint


class SectionBuilder:
    """Collects sections while a file is walked from its top: headings by level, text below them, pages."""

    def __init__(self) -> None:
        self.collected: list[Section] = []
        self.page: int | None = None
        self.title = ""  # the first heading
        self._path: list[tuple[int, str]] = []
        self._blocks: list[str] = []

    def heading(self, level: int, title: str, line: str | None = None) -> None:
        """A heading begins a section; `line` is what stands in the file (None: the title, "": nothing)."""
        title = " ".join(title.split())
        if not title:
            return
        self.end()
        self.title = self.title or title
        self._path = [*(entry for entry in self._path if entry[0] < level), (level, title)]
        self.add(title if line is None else line)

    def add(self, block: str) -> None:
        """A paragraph, a list, a table."""
        if block.strip():
            self._blocks.append(block.strip("\n"))

    def paragraph(self, lines: list[str]) -> None:
        """Lines that were gathered, as a block; the list is empty then, for the next."""
        self.add("\n".join(lines))
        lines.clear()

    def line(self, line: str) -> None:
        """A line of the block at hand."""
        if self._blocks:
            self._blocks[-1] += f"\n{line}"
        else:
            self.add(line)

    def end(self) -> None:
        """Close the section at hand: a new heading or page comes."""
        if self._blocks:
            heading = BETWEEN.join(title for _, title in self._path)
            self.collected.append(Section("\n\n".join(self._blocks), heading, self.page))
            self._blocks = []

    def content(self, title: str = "", warnings: tuple[str, ...] = ()) -> Content:
        """What was collected, at the file's end; without a `title` the first heading is it."""
        self.end()
        return Content(title or self.title, self.collected, warnings)


def table(lines: list[list[str]]) -> str:
    """The cells of a table, a line a row, " | " between them; rows with nothing in them are left out."""
    rows = [[" ".join(cell.split()) for cell in cells] for cells in lines]
    return "\n".join(" | ".join(cells) for cells in rows if any(cells))
