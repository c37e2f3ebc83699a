"""Headings that ask: what stands under such a one in a list of questions (FAQ) is its answer, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gemmalocal.synthesis import ground
from gemmalocal.synthesis.kinds import kind_of
from gemmalocal.synthesis.language import sentences
from gemmalocal.synthesis.piece import Piece, RuleQuestion

NUMBER = re.compile(r"^(?:(?:Q|F|Question|Frage)?\s*\d+(?:\.\d+)*[.):]?|Q[.:])\s+", re.IGNORECASE)
ASKS = re.compile(r"^[^?？؟]{6,200}[?？؟]$")  # one question alone
WORDS = 3  # of a question, at least, where words have spaces
LONGEST = 600  # characters of an answer: a longer one is no answer but a chapter


def questions(piece: Piece) -> Iterator[RuleQuestion]:
    """The question that a passage's heading asks, if its text begins with the answer; that is its first paragraph."""
    heading = NUMBER.sub("", piece.section.rpartition(" > ")[2])
    if not ASKS.match(heading) or (" " in heading and len(heading.split()) < WORDS):
        return
    blocks = [" ".join(block.split()) for block in re.split(r"\n\s*\n", piece.passage.text)]
    names = {ground.normal(NUMBER.sub("", name)) for name in (heading, piece.passage.heading.rpartition(" > ")[2])}
    start = next((place for place, block in enumerate(blocks) if ground.normal(NUMBER.sub("", block)) in names), -1)
    answer = next((block for block in blocks[start + 1 :] if block), "")
    if start < 0 or len(answer) > LONGEST or not sentences(answer) or answer[-1] in ":,;":
        return  # the passage goes on from one before, or what stands here leads to something else
    yield RuleQuestion(heading, answer, answer, f"Under “{heading}” it says: “{answer}”", kind_of(heading))
