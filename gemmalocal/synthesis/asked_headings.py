"""Headings that ask: what stands under such a one in a list of questions (FAQ) is its answer, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gemmalocal.documents.document import BETWEEN
from gemmalocal.synthesis import fitting, ground
from gemmalocal.synthesis.english_forms import UNCLEAR
from gemmalocal.synthesis.facts import POINTS, REFERENCE
from gemmalocal.synthesis.kinds import ASKED_HEADING
from gemmalocal.synthesis.language import WRAPPED, english, sentences
from gemmalocal.synthesis.piece import Piece, RuleQuestion

NUMBER = re.compile(r"^(?:(?:Q|F|Question|Frage)?\s*\d+(?:\.\d+)*[.):]?|Q[.:])\s+", re.IGNORECASE)
ASKS = re.compile(r"^[^?？؟]{6,200}[?？؟]$")  # one question alone
WORDS = 3  # of a question, at least, where words have spaces
LONGEST = 600  # characters of an answer: a longer one is no answer but a chapter


def questions(piece: Piece) -> Iterator[RuleQuestion]:
    """The question that a passage's heading asks, if its text begins with the answer; that is its first paragraph."""
    whole = piece.section.rpartition(BETWEEN)[2]
    heading = NUMBER.sub("", whole)
    if not ASKS.match(heading) or (" " in heading and len(heading.split()) < WORDS):
        return
    blocks = [" ".join(WRAPPED.sub("", block).split()) for block in re.split(r"\n\s*\n", piece.passage.text)]
    names = {ground.normal(heading), ground.normal(whole)}
    start = next((place for place, block in enumerate(blocks) if ground.normal(block) in names), -1)
    answer = next((block for block in blocks[start + 1 :] if block), "")
    if start < 0 or len(answer) > LONGEST or not sentences(answer) or answer[-1] in ":,;":
        return  # the passage goes on from one before, or what stands here leads to something else
    if english(piece.passage.text) and _points(heading, answer):
        return
    yield RuleQuestion(heading, answer, answer, f"Under “{heading}” it says: “{answer}”", ASKED_HEADING)


def _points(heading: str, answer: str) -> bool:
    """Whether a question speaks of what is not in it, or its answer only says where the answer is."""
    if UNCLEAR.search(heading) or fitting.POINTING.search(heading):
        return True
    return bool(POINTS.match(answer) or REFERENCE.search(answer))
