"""What was measured of each row, before anything is concluded from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Answer(NamedTuple):
    """A greedy answer, its tokens, and whether the model ended it by itself."""

    text: str
    tokens: int
    ended: bool


class Loss(NamedTuple):
    """Nats of a row's supervised tokens, summed, by the base and by the tuned model, and KL(base || tuned), summed."""

    base: float
    tuned: float
    kl: float | None = None


@dataclass(frozen=True)
class MeasuredRow:
    """A held-out row: where it is from, what it asks for, and how base and tuned model did.

    `cluster` is its document, or itself. Of a pair it is the chosen answer's, and `rejected` the other's. `swapped` is
    the tuned model's mean nats a token on another row's answer, `leak` the row to train on that it nearly copies.
    """

    source: str
    cluster: str
    prompt: str
    reference: str
    tokens: int
    loss: Loss
    swapped: float | None = None
    answers: tuple[Answer, Answer] | None = None
    leak: str = ""
    rejected: Loss | None = None


@dataclass(frozen=True)
class MeasuredText:
    """A neutral text: its register, its tokens and losses."""

    register: str
    name: str
    tokens: int
    loss: Loss


@dataclass(frozen=True)
class MeasuredQuestion:
    """A general question, the answers of base and tuned model, and whether each is right."""

    kind: str
    question: str
    answers: tuple[Answer, Answer]
    right: tuple[bool, bool]


@dataclass(frozen=True)
class Measured:
    """All of it; where answers were rated, `rows` are the good ones, and `bad` has the losses of the others.

    `against` is who stands under `base`: the base model, or another run by its name.
    """

    rows: list[MeasuredRow]
    texts: list[MeasuredText] = field(default_factory=list)
    questions: list[MeasuredQuestion] = field(default_factory=list)
    bad: list[Loss] = field(default_factory=list)
    against: str = "base"
