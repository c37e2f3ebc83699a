"""Documents to passages: along headings, and never longer than the model's own tokens allow."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from gemmalocal.documents.document import Document, Passage, Section

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BETWEEN_PAGES = "\n\n"
REMEMBERED = 1 << 24  # characters of texts whose tokens were counted: the splitter asks for most of them twice
SHORT = 1000  # characters; for longer texts a batch of one pays: it does not tell the places of the tokens


class Cutter:
    """Cuts documents for one tokenizer into passages of at most `most` tokens."""

    def __init__(self, tokenizer: Tokenizer, most: int) -> None:
        from semantic_text_splitter import TextSplitter

        self._tokenizer = tokenizer
        self._counts: dict[str, int] = {}
        self._remembered = 0  # characters of these texts
        self._splitter = TextSplitter.from_callback(self._count, most)

    def __call__(self, document: Document) -> Iterator[Passage]:
        """The passages in their order: all sections of a heading together, cut where paragraphs or sentences end."""
        number = 0
        for heading, group in groupby(document.sections, key=lambda section: section.heading):
            sections = list(group)
            starts, text = _joined(sections)
            for start, piece in self._splitter.chunk_indices(text):
                page = sections[bisect_right(starts, start) - 1].page
                yield Passage(document.source, number, piece, heading, page, self._count(piece))
                number += 1

    def _count(self, text: str) -> int:
        if text in self._counts:
            return self._counts[text]
        if self._remembered > REMEMBERED:
            self._counts.clear()
            self._remembered = 0
        self._counts[text] = count = self._counted(text)
        self._remembered += len(text)
        return count

    def _counted(self, text: str) -> int:
        if len(text) < SHORT:
            return len(self._tokenizer.encode(text, add_special_tokens=False))
        (encoding,) = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        return len(encoding)


def cut_passages(document: Document, tokenizer: Tokenizer, most: int) -> Iterator[Passage]:
    """The passages of one document; a `Cutter` does many."""
    return Cutter(tokenizer, most)(document)


def _joined(sections: list[Section]) -> tuple[list[int], str]:
    """Where each section begins in the text of all, in characters, and that text."""
    starts, text = [], ""
    for section in sections:
        text += BETWEEN_PAGES if text else ""
        starts.append(len(text))
        text += section.text
    return starts, text
