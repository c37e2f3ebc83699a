"""The sentences of a passage that say most: what an author is asked about one by one, where it made nothing of all."""

from __future__ import annotations

import re

from gemmalocal.synthesis.context import MEANS
from gemmalocal.synthesis.english_words import LEANING
from gemmalocal.synthesis.language import sentences, unspaced
from gemmalocal.synthesis.piece import Piece

WORDS = range(4, 61)  # of a sentence, or a line, that says something
LETTERS = range(8, 301)  # of one in a script without spaces


def key_sentences(piece: Piece) -> list[str]:
    """The sentences of a passage, those that say most first; of one without sentences, its longer lines."""
    text = piece.passage.text
    own = [line for line in sentences(text) if _fits(line)]
    own = own or [" ".join(line.split()) for line in text.splitlines() if _fits(line) and not line.startswith("#")]
    distinct = list(dict.fromkeys(own))
    return sorted(distinct, key=lambda line: -_weight(line, piece))


def _fits(line: str) -> bool:
    return len(line) in LETTERS if unspaced(line) else len(line.split()) in WORDS


def _weight(line: str, piece: Piece) -> float:
    """More for a number, a definition, a name, and for what leans on nothing before it."""
    first = line.split()[0].lower().strip("\"'“‘(")
    named = any(term.partition(" (")[0] in line for term in piece.terms) or re.search(r"(?<=[a-z,] )[A-Z]", line)
    weight = 2.0 * bool(MEANS.match(line)) + bool(re.search(r"\d", line)) + bool(named)
    return weight - 2.0 * (first in LEANING) + min(len(line), 200) / 400
