"""Which of two answers is better: what a judge is asked in both orders, and what its answer means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from gemmalocal.evaluation.judged import Choice
from gemmalocal.synthesis.asking import Prompt, Unanswered
from gemmalocal.synthesis.tasks import AuthoredRow, UnusableAnswer, parse
from gemmalocal.synthesis.wording import Wording

Letter = Literal["A", "B", "tie"]
LONGEST = 4000  # letters of a text that a judge is shown
CHOICES: dict[Letter, Choice] = {"A": "first", "B": "second", "tie": "tie"}
BARE = re.compile(r"\W*(?:answer\s+)?(a|b|tie|equal|neither|both)\W*", re.IGNORECASE)


def _letter(value: Any) -> Any:
    """A, B or tie out of what judges write for it."""
    matched = BARE.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        return value
    word = matched.group(1).upper()
    return word if word in ("A", "B") else "tie"


class Better(AuthoredRow):
    """What a judge says of two answers."""

    better: Annotated[Letter, BeforeValidator(_letter)]
    reason: str = ""


@dataclass(frozen=True)
class Two:
    """A request, an answer that is known to be good, and the two that are compared."""

    request: str
    reference: str
    answers: tuple[str, str]


def prompts(compared: Sequence[Two], wording: Wording) -> Iterator[Prompt]:
    """Of each two answers both orders, one after the other: number 2n has the first in front, 2n + 1 the second."""
    for two in compared:
        for answers in (two.answers, two.answers[::-1]):
            first, second = (text[:LONGEST] or "(nothing)" for text in answers)
            yield wording.better(Better, two.request[-LONGEST:], two.reference[:LONGEST], first, second)


def choice(answer: str | Unanswered) -> Choice:
    """Which of two answers, as they stood, a judge has chosen; empty if that cannot be read."""
    if isinstance(answer, Unanswered):
        return ""
    try:
        return CHOICES[parse(answer, Better)[0].better]
    except UnusableAnswer:
        return CHOICES.get(_letter(answer), "")
