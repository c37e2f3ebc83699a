"""Whether two answers to a question say the same, and whether an answer is grounded in a text; by words and numbers.

Words that the question has already say nothing new: where either answer has others, only those are compared. Each is
weighed by how few passages have it, so that "the" and "is" make no agreement.
"""

from __future__ import annotations

from collections.abc import Callable, Set

from gemmalocal.synthesis import ground
from gemmalocal.synthesis.terms import terms

Weigh = Callable[[str], float]  # a term's weight, above 0
ENOUGH = 0.5  # of the weight of the shorter answer's words, that the other must have
GROUNDED = 0.5  # of the weight of an answer's words, that its text must have
KNOWN = 0.7  # of the weight of an answer's words, that one who knows it says too
MARK = "\n\nAnswer: "  # between the thoughts of a row and its answer


def conclusion(answer: str) -> str:
    """What an answer comes to: of one that thinks aloud, the part behind its thoughts."""
    return answer.rpartition(MARK)[2]


def disagreement(expected: str, given: str, question: str, weigh: Weigh) -> str | None:
    """Why a second answer is not the first, as a verb's phrase; None where they say the same."""
    if ground.normal(expected) == ground.normal(given):
        return None
    own, other = (ground.numbers(text) - ground.numbers(question) for text in (expected, given))
    if own and other and not (own <= other or other <= own):
        return f"has another number when its question is asked again: {min(other - own)} in place of {min(own - other)}"
    left, right = _compared(expected, given, question)
    shared = _weight(left & right, weigh)
    if shared < ENOUGH * min(_weight(left, weigh), _weight(right, weigh)) or not shared:
        return f"is answered otherwise when its question is asked again: {' '.join(given.split())[:100] or '(nothing)'}"
    return None


def says(given: str, expected: str, question: str, weigh: Weigh) -> bool:
    """Whether an answer that was given without the text says what was expected: its numbers, and most of its words."""
    if ground.numbers(expected) - ground.numbers(question) - ground.numbers(given):
        return False
    left, right = _compared(expected, given, question)
    return bool(left & right) and _weight(left & right, weigh) >= KNOWN * _weight(left, weigh)


def grounded(answer: str, question: str, text: str, weigh: Weigh) -> float:
    """The share of what an answer says, beyond its question, that a text has too; 0 where it has another number."""
    if ground.numbers(answer) - ground.numbers(text) - ground.numbers(question):
        return 0.0
    new = set(terms(answer)) - set(terms(question))
    return _weight(new & set(terms(text)), weigh) / _weight(new, weigh) if new else 1.0


def _compared(expected: str, given: str, question: str) -> tuple[Set[str], Set[str]]:
    left, right, asked = (set(terms(text)) for text in (expected, given, question))
    return (left - asked, right - asked) if left - asked and right - asked else (left, right)


def _weight(some: Set[str], weigh: Weigh) -> float:
    return sum(map(weigh, some))
