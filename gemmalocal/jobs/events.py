"""The contract: what a job says, one JSON object a line, with `event` and `at` (seconds since the epoch).

Death is never written: a job without a last word (`finished`, `failed`) that holds no lock was killed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gemmalocal.tool_calls.shown import CallingText

CONTRACT = 1


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class Started(Event):
    """A process took the job; `step` is where it goes on from (0 for a new run)."""

    kind: str
    pid: int
    attempt: int
    versions: dict[str, str] = field(default_factory=dict)
    step: int = 0
    contract: int = CONTRACT


@dataclass(frozen=True)
class Stage(Event):
    """What the job does now, as a phrase."""

    name: str


@dataclass(frozen=True)
class Progress(Event):
    """`done` of `total` of something long inside a stage; `left` are seconds, if they are known."""

    what: str
    done: int
    total: int
    left: float | None = None


@dataclass(frozen=True)
class Notice(Event):
    """Something a person should know, such as rows that were dropped."""

    text: str


@dataclass(frozen=True)
class Step(Event):
    """One optimizer step: `loss` is the mean over its `tokens` supervised tokens.

    In bytes: `memory` is the allocator's peak during the step, `active` what is held after it, `cached` what the
    allocator keeps of freed buffers. With an objective over judged answers `loss` is its mean, over pairs or answers,
    and `preference` has accuracy (0 to 1), margin (between rewards), chosen and rejected (nats gained over the model as
    the run starts, or log-probability by token). With a teacher it has kl (to the teacher, nats a token), agreement (0
    to 1, how often the teacher's likeliest id is the model's too) and cross_entropy (of the rows' own tokens). In a
    run of a given time `left` is what is left of it, in seconds, and `steps` is as many as there will be by the pace
    of now.
    """

    step: int
    steps: int
    loss: float
    tokens: int
    learning_rate: float
    grad_norm: float
    seconds: float
    memory: int
    active: int = 0
    cached: int = 0
    preference: dict[str, float] | None = None
    left: float | None = None

    @property
    def in_all(self) -> str:
        """How many steps the run will have, for a person."""
        return f"{'~' * (self.left is not None and self.step < self.steps)}{self.steps:,}"


@dataclass(frozen=True)
class Skipped(Event):
    """A step that changed neither weights nor optimizer, and `why`."""

    step: int
    why: str


@dataclass(frozen=True)
class Rollback(Event):
    """After `step` steps training went back to the checkpoint of step `to`; what lies beyond is taken back.

    `factor` is what the recipe's learning rates are multiplied by from now on.
    """

    step: int
    to: int
    factor: float
    why: str


@dataclass(frozen=True)
class Trial(Event):
    """A step of a trial of a search, which tries `words`; the other fields are those of `Step`. Rungs count from 0."""

    rung: int
    trial: int
    words: str
    step: int
    steps: int
    loss: float


@dataclass(frozen=True)
class Tried(Event):
    """A trial has ended after so many `steps`: its loss on the rows that are set aside, or None if it diverged."""

    rung: int
    trial: int
    words: str
    steps: int
    loss: float | None


@dataclass(frozen=True)
class Evaluated(Event):
    """Held-out loss, the mean over `tokens` supervised tokens, after `step` steps; `preference` as in `Step`."""

    step: int
    loss: float
    tokens: int
    preference: dict[str, float] | None = None


@dataclass(frozen=True)
class Saved(Event):
    """A whole checkpoint is on disk; `best` if its held-out loss is the lowest so far."""

    step: int
    path: str
    best: bool


@dataclass(frozen=True)
class Sample(Event, CallingText):
    """A prompt answered greedily; `when` is before, during or after; `stopped` if the model ended by itself."""

    step: int
    when: str
    prompt: str
    text: str
    stopped: bool


@dataclass(frozen=True)
class Voices(Event):
    """Who speaks in a chat, in the order of its columns; from now on it can be asked.

    A voice's `forms` are chat (turns in the model's template), prompt (each stands alone) or text (which is gone on
    with): the shape of the rows that it was trained on.
    """

    names: list[str]
    forms: list[str]


@dataclass(frozen=True)
class Asked(Event):
    """A question to all voices. One with the `turn` of the last is that question again: its answers are replaced.

    With `answers` it is what tools answer to the calls of the turn before: of each voice a list of `name`, `id` and
    `text`.
    """

    turn: int
    text: str
    system: str
    sampling: dict[str, float]
    answers: list[list[dict[str, str]]] = field(default_factory=list)


@dataclass(frozen=True)
class Reply(Event):
    """More `text` of the answer of a voice, by its place in `Voices`, which has `tokens` so far."""

    turn: int
    voice: int
    text: str
    tokens: int


@dataclass(frozen=True)
class Replied(Event):
    """The whole answer of a voice, its `tokens`, the `seconds` since the question and until its `first` token.

    `stopped` says why it ended: end (the model ended it), length (max_tokens), asked (somebody stopped it) or idle (it
    had called no tool, and hears no answer). `calls` are the tools that it calls, each with `name`, `arguments` and
    `id`.
    """

    turn: int
    voice: int
    text: str
    tokens: int
    seconds: float
    first: float
    stopped: str
    calls: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Tokens a second after the first."""
        return (self.tokens - 1) / max(self.seconds - self.first, 1e-9)


@dataclass(frozen=True)
class Voted(Event):
    """Which voice answered that turn best; None takes the vote back, or is a `verdict` on all: tie (good) or bad."""

    turn: int
    voice: int | None
    verdict: str = ""


@dataclass(frozen=True)
class Cleared(Event):
    """The voices have forgotten what was said so far."""


@dataclass(frozen=True)
class Declined(Event):
    """A command that was not carried out, and why."""

    do: str
    why: str


@dataclass(frozen=True)
class Report(Event):
    """The answer of an errand such as `check` or `doctor`."""

    data: dict[str, Any]


@dataclass(frozen=True)
class Rows(Event):
    """Rows of a side (train, held_out) as they are trained, from the `first` (0) on: see `pipelines.check.page`."""

    side: str
    first: int
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Found(Event):
    """The `places` (from 0) of the rows of a side that have the `text` in them, whatever its case."""

    side: str
    text: str
    places: list[int]


@dataclass(frozen=True)
class Read(Event):
    """A document was looked at: it gave so many `passages`, or was `refused`, and why (in sentences).

    `warnings` say what looks wrong in it. Of votes it is a chat and its votes, of pairs and answers rows and prompts.
    """

    source: str
    passages: int
    refused: str = ""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Counted(Event):
    """Rows that a preparation has made so far: `kept`, and `rejected` by reason (a verb's phrase)."""

    kept: int
    rejected: dict[str, int]


@dataclass(frozen=True)
class Finished(Event):
    """The last word of a job that ended well; `outcome` is done, stopped, early or strained (the machine's state)."""

    outcome: str
    message: str = ""


@dataclass(frozen=True)
class Failed(Event):
    """The last word of a job that could not go on; `code` is the exit code."""

    error: str
    message: str
    hint: str
    code: int


@dataclass(frozen=True)
class Unknown(Event):
    """A line from a newer contract, or a damaged one; readers skip it."""

    line: str


KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind
    for kind in (
        Started,
        Stage,
        Progress,
        Notice,
        Step,
        Skipped,
        Rollback,
        Trial,
        Tried,
        Evaluated,
        Saved,
        Sample,
        Voices,
        Asked,
        Reply,
        Replied,
        Voted,
        Cleared,
        Declined,
        Report,
        Rows,
        Found,
        Read,
        Counted,
        Finished,
        Failed,
    )
}
LAST_WORDS = (Finished, Failed)
