"""A question that names too little to stand alone is begun with where it was read: its document, or its section."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from gemmalocal.synthesis import checks
from gemmalocal.synthesis.english_forms import UNCLEAR, place
from gemmalocal.synthesis.language import english
from gemmalocal.synthesis.piece import Candidate
from gemmalocal.synthesis.retrieval import PassageIndex

SOMETHING = 4.0  # bits that a question must tell by itself, beside its document's name
ASKS = re.compile(
    r"^(?:What|How|Why|When|Where|Which|Who|Whose|Whom|Is|Are|Was|Were|Do|Does|Did|Can|Could|May|Must|Should|Will|Has|"
    r"Have|In which|At which|For what|To what|By what)\b"
)


def placed(candidate: Candidate, index: PassageIndex) -> Candidate | None:
    """A row whose question says where it was read, if it stands alone by that; of English questions alone."""
    asks = ASKS.match(candidate.question) and english(candidate.piece.passage.text)
    if not asks or UNCLEAR.search(candidate.question):  # of what it speaks, no place tells
        return None
    if index.named_by(candidate.question, candidate.piece) < SOMETHING:
        return None
    for where in _places(candidate):
        question = f"{where[0].upper()}{where[1:]}, {candidate.question[0].lower()}{candidate.question[1:]}"
        user, *others = candidate.record.messages
        record = replace(candidate.record, messages=(replace(user, content=question), *others))
        mended = replace(candidate, record=record, question=question)
        if checks.problem(mended) is None and checks.ambiguity(mended, index) is None:
            return mended
    return None


def _places(candidate: Candidate) -> Iterator[str]:
    """Where a passage is, in few words first."""
    piece = candidate.piece
    short, whole = (place(piece, section) for section in (False, True))
    yield from (where for where in dict.fromkeys((short, whole)) if where)
