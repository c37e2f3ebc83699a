"""One word for a report, and the sentence that stands at its top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gemmalocal.evaluation.preferred import Preferred, Rated
from gemmalocal.evaluation.statistics import ALPHA, Interval, direction, mcnemar
from gemmalocal.jobs.loss_words import loss_text
from gemmalocal.jobs.plurals import counted

Effect = Literal["helps", "no difference", "hurts"]
Word = Literal[Effect, "helps but forgets", "no difference but forgets", "hurts and forgets"]
FORGETTING: dict[Effect, Word] = {
    "helps": "helps but forgets",
    "no difference": "no difference but forgets",
    "hurts": "hurts and forgets",
}
# Of a loss, in nats a token: half a percent of perplexity. A difference that nobody could notice is none, however sure.
NEGLIGIBLE = 0.005
FORGOTTEN_LOSS = 0.1  # nats a token of neutral text, by which its loss has risen at least where much was forgotten


@dataclass(frozen=True)
class Table:
    """Answers of base and tuned model to the same rows: right by both, by one alone, by neither."""

    both: int = 0
    fixed: int = 0  # by the tuned model alone
    broken: int = 0  # by the base alone
    neither: int = 0

    @property
    def rows(self) -> int:
        """All of them."""
        return self.both + self.fixed + self.broken + self.neither

    @property
    def p(self) -> float:
        """McNemar's, exact and two-sided."""
        return mcnemar(self.fixed, self.broken)

    @property
    def direction(self) -> int:
        """1 if significantly more were fixed than broken, -1 the other way round, else 0."""
        return direction(self.fixed, self.broken)


@dataclass(frozen=True)
class Evidence:
    """What a verdict is drawn from; a loss is the tuned model's less the base's, in nats a token.

    `own` is how much less the tuned model expects answers of other rows than a row's own, None where that was not
    asked; `chance` how likely as many right answers are if answers of other rows count. `questions` are the general
    ones, `neutral` the difference of loss on text that has nothing to do with the task.
    """

    rows: int
    base: float
    tuned: float
    loss: Interval
    better: int  # rows whose loss is lower
    table: Table | None = None  # of a metric that decides
    own: Interval | None = None
    chance: float | None = None
    questions: Table | None = None
    neutral: Interval | None = None
    kl: float | None = None  # of base and tuned on neutral text, nats a token
    pairs: Preferred | None = None  # of a run that learned from pairs
    rated: Rated | None = None  # of one that learned from ratings
    against: str = "base"


def word(evidence: Evidence) -> Word:
    """The verdict: what it did to the task, and whether it forgets."""
    effect = _effect(evidence)
    return FORGETTING[effect] if forgets(evidence) else effect


def _effect(evidence: Evidence) -> Effect:
    """Pairs or ratings decide, where there are some; right answers where they differ; else the loss."""
    direction = _direction(evidence)
    return "helps" if direction > 0 else "hurts" if direction < 0 else "no difference"


def _direction(evidence: Evidence) -> int:
    if preferences := evidence.pairs or evidence.rated:
        return preferences.direction
    answers = evidence.table.direction if evidence.table else 0
    if answers > 0 and evidence.chance is not None and evidence.chance > ALPHA:
        answers = 0  # as many are right by answers of other rows
    if answers:
        return answers
    loss = 1 if evidence.loss.high < -NEGLIGIBLE else -1 if evidence.loss.low > NEGLIGIBLE else 0
    return 0 if loss > 0 and only_form(evidence) else loss


def only_form(evidence: Evidence) -> bool:
    """Whether the tuned model expects answers of other rows as much as a row's own: it learned how they look alone."""
    return evidence.own is not None and evidence.own.low <= 0


def forgets(evidence: Evidence) -> bool:
    """Whether general questions were lost, more than chance does, or neutral text became much harder."""
    lost = evidence.questions is not None and evidence.questions.direction < 0
    return lost or (evidence.neutral is not None and evidence.neutral.low > FORGOTTEN_LOSS)


def sentence(evidence: Evidence) -> str:
    """The one at the top."""
    opening = word(evidence).capitalize()
    if _effect(evidence) == "no difference":
        lower = only_form(evidence) and evidence.loss.high < -NEGLIGIBLE
        opening = "No difference" + (" but in form" if lower else f" that {counted(evidence.rows, 'row')} can show")
        opening += ", but it forgets" if forgets(evidence) else ""
    if evidence.against != "base":
        opening += f", against {evidence.against}"
    loss = f"held-out loss {loss_text(evidence.base, 2)} -> {loss_text(evidence.tuned, 2)}, {interval(evidence.loss)}"
    parts = [loss, f"{evidence.better} of {counted(evidence.rows, 'row')} better"]
    if pairs := evidence.pairs:
        won = f"{pairs.won} of {counted(pairs.pairs, 'pair')} won, p = {p_value(pairs.p)}"
        parts = [won, f"chosen answers {pairs.chosen:+.1f} nats, rejected {pairs.rejected:+.1f}", loss]
    if rated := evidence.rated:
        won = (
            f"{rated.right} of {counted(rated.good + rated.bad, 'answer')} moved the right way, p = {p_value(rated.p)}"
        )
        parts = [won, f"good ones {rated.good_gain:+.1f} nats, bad ones {rated.bad_gain:+.1f}", loss]
    if " in form" in opening:
        parts.append("answers of other rows would do as well: it learned how answers look, not what they say")
    if table := evidence.table:
        parts.append(
            f"of {counted(table.rows, 'answer')} {table.fixed} fixed, {table.broken} broken, p = {p_value(table.p)}"
        )
    if questions := evidence.questions:
        parts.append(f"forgot {questions.broken} of {questions.rows}")
    if evidence.neutral is not None:
        parts.append(f"neutral text {evidence.neutral.value:+.2f}")
    if evidence.kl is not None:
        parts.append(f"KL to {evidence.against} {evidence.kl:.2f}")
    return f"{opening}: {'; '.join(parts)}."


def interval(value: Interval, digits: int = 2) -> str:
    """A difference with its interval: -0.44 [-0.52, -0.36]."""
    return f"{value.value:+.{digits}f} [{value.low:+.{digits}f}, {value.high:+.{digits}f}]"


def p_value(p: float) -> str:
    """A p in short."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1g}"
