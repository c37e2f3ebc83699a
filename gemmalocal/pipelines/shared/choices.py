"""Which of two answers is better: by the answer that a row has, or by a judge that sees them in both orders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from gemmalocal.evaluation.judged import Choice, outcome
from gemmalocal.evaluation.metrics import Metric
from gemmalocal.pipelines.shared.authors import Author
from gemmalocal.pipelines.shared.background import Teller
from gemmalocal.records import Message
from gemmalocal.synthesis import better
from gemmalocal.synthesis.asking import Remembered
from gemmalocal.synthesis.better import Two
from gemmalocal.synthesis.wording import Wording

MARGIN = 0.05  # by which the likeness of one answer to the row's own must exceed that of the other
WHY = {  # of what both orders say together: why no answer has won
    "tie": "has answers that the judge finds equal",
    "flip": "has answers between which the judge goes by their places",
    "unread": "was not judged in a way that can be read",
}
Winner = int | str  # the place of the better answer, or why none is


class Asked(Protocol):
    """A prompt with the answer that its row has."""

    @property
    def prompt(self) -> tuple[Message, ...]: ...

    @property
    def reference(self) -> str: ...


class Compared(Protocol):
    """Two answers to one question."""

    @property
    def question(self) -> Asked: ...

    @property
    def texts(self) -> tuple[str, str]: ...


def by_reference(metric: Metric, compared: Sequence[Compared]) -> Iterator[Winner]:
    """The answer that is right where the other is wrong; of free text the one that is more like the row's own."""
    for two in compared:
        reference = two.question.reference
        if metric.decides:
            right = [metric.right(text, reference) for text in two.texts]
            if right[0] == right[1]:
                yield "has answers that are both right" if right[0] else "has answers that are both wrong"
            else:
                yield right.index(True)
            continue
        likeness = [sum(share(text, reference) for share in metric.shares.values()) for text in two.texts]
        if abs(likeness[0] - likeness[1]) < MARGIN * len(metric.shares):
            yield "has answers that are as like its own"
        else:
            yield int(likeness[1] > likeness[0])


def by_judge(voice: Author, compared: Sequence[Compared], kept: Path, tell: Teller) -> list[Winner]:
    """The answer that a judge has chosen wherever it stood."""
    asked = [Two(_request(two.question.prompt), two.question.reference, two.texts) for two in compared]
    outcomes = (outcome(*both) for both in in_both_orders(voice, asked, kept, tell))
    places = {"base": 0, "tuned": 1}  # as a report calls the one that stands first, and the other
    return [places.get(word, WHY.get(word, "")) for word in outcomes]


def in_both_orders(voice: Author, compared: Sequence[Two], kept: Path, tell: Teller) -> list[tuple[Choice, Choice]]:
    """What a judge chose of each two, with the first in front and with the second; kept in a file, not asked again."""
    assert voice.ask is not None
    remembered = Remembered(kept, voice.ask, voice.name)
    said: list[Choice] = [""] * (2 * len(compared))
    for done, (number, answer) in enumerate(remembered(better.prompts(compared, Wording())), 1):
        said[number] = better.choice(answer)
        tell("answers of the judge", done, len(said))
    return list(zip(said[::2], said[1::2], strict=True))


def _request(prompt: Sequence[Message]) -> str:
    """A prompt as a judge reads it."""
    if len(prompt) == 1:
        return prompt[0].content
    return "\n\n".join(f"{turn.role}: {turn.content}" for turn in prompt)
