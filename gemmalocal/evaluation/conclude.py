"""From what was measured to the figures of a report, as JSON has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gemmalocal.evaluation import verdict
from gemmalocal.evaluation.measured import Answer, Measured, MeasuredRow, MeasuredText
from gemmalocal.evaluation.metrics import Metric
from gemmalocal.evaluation.preferred import Preferred, Rated, preferred, rated
from gemmalocal.evaluation.statistics import (
    Interval,
    bootstrap_p,
    holm,
    least_gain,
    ratio_interval,
    rows_needed,
    wilson,
)
from gemmalocal.evaluation.verdict import Evidence, Table

WORST = 5  # regressions that are shown
GRAM, REPEATS = 8, 3  # words of a run, and how often it comes in an answer that repeats itself
SHUFFLES = 2000
DISCORDANT = 0.3  # share of rows that are fixed or broken, where none were asked
GAINS = (0.2, 0.1, 0.05)
SEED = 0


def conclude(measured: Measured, metric: Metric) -> dict[str, Any]:
    """The figures of a report: `verdict`, `sentence`, and by part what they come from."""
    rows = measured.rows
    evidence = evidence_of(measured, metric)
    kept = [row for row in rows if not row.leak]
    without = replace(measured, rows=kept)
    leaks = [{"source": row.source, "copies": row.leak, "text": row.prompt + row.reference} for row in rows if row.leak]
    return {
        "verdict": verdict.word(evidence),
        "sentence": verdict.sentence(evidence),
        "against": measured.against,
        "rows": len(rows),
        "documents": len({row.cluster for row in rows}),
        "pairs": pair_figures(evidence.pairs),
        "rated": pair_figures(evidence.rated),
        "loss": loss_figures(rows, evidence),
        "metric": {"name": metric.name, "about": metric.about, "decides": metric.decides},
        "answers": answer_figures(rows, metric, evidence.chance),
        "regressions": regressions(rows, metric),
        "forgetting": forgetting(measured, evidence),
        "leakage": {
            "rows": leaks,
            "without": brief(without, metric) if leaks and kept else None,
        },
        "limits": limits(rows, metric, evidence),
    }


def evidence_of(measured: Measured, metric: Metric) -> Evidence:
    """What the verdict is drawn from."""
    rows = measured.rows
    tokens = sum(row.tokens for row in rows)
    table = right_table(rows, metric) if metric.decides else None
    questions = Table(*_counts([question.right for question in measured.questions])) if measured.questions else None
    return Evidence(
        rows=len(rows),
        base=sum(row.loss.base for row in rows) / tokens,
        tuned=sum(row.loss.tuned for row in rows) / tokens,
        loss=difference(rows),
        better=sum(row.loss.tuned < row.loss.base for row in rows),
        table=table if table and table.rows else None,
        own=_own_answers(rows),
        chance=chance_of(rows, metric) if metric.decides else None,
        questions=questions,
        neutral=_neutral(measured.texts),
        kl=_mean_kl(measured.texts),
        pairs=preferred(rows),
        rated=rated(rows, measured.bad),
        against=measured.against,
    )


def pair_figures(preferences: Preferred | Rated | None) -> dict[str, Any] | None:
    """The win rate of a run that learned from pairs, or from ratings."""
    return preferences and {**preferences._asdict(), "share": preferences.share._asdict(), "p": preferences.p}


def difference(rows: Sequence[MeasuredRow]) -> Interval:
    """Tuned less base, nats a token."""
    values = [row.loss.tuned - row.loss.base for row in rows]
    return ratio_interval(values, [row.tokens for row in rows], _clusters(rows), SEED)


def _clusters(rows: Sequence[MeasuredRow]) -> list[str]:
    """What is drawn together: documents; rows, where all are of one, for which alone the interval holds then."""
    documents = [row.cluster for row in rows]
    return documents if len(set(documents)) > 1 else list(map(str, range(len(rows))))


def _own_answers(rows: Sequence[MeasuredRow]) -> Interval | None:
    """How much less the tuned model expects another row's answer than the row's own, nats a token of a row."""
    swapped = [(row, row.swapped) for row in rows if row.swapped is not None]
    if len(swapped) < 2:
        return None
    values = [other - row.loss.tuned / row.tokens for row, other in swapped]
    return ratio_interval(values, [1.0] * len(swapped), _clusters([row for row, _ in swapped]), SEED)


def right_table(rows: Sequence[MeasuredRow], metric: Metric) -> Table:
    """Right and wrong answers of both."""
    return Table(
        *_counts(
            [
                (metric.right(row.answers[0].text, row.reference), metric.right(row.answers[1].text, row.reference))
                for row in rows
                if row.answers is not None
            ]
        )
    )


def _counts(pairs: Sequence[tuple[bool, bool]]) -> tuple[int, int, int, int]:
    """Both, the second alone, the first alone, neither."""
    counts = Counter(pairs)
    return counts[True, True], counts[False, True], counts[True, False], counts[False, False]


def chance_of(rows: Sequence[MeasuredRow], metric: Metric) -> float | None:
    """How likely as many of the tuned model's answers are right if the references are dealt out anew (Fisher)."""
    asked = [(row.answers[1].text, row.reference) for row in rows if row.answers is not None]
    references = sorted({reference for _, reference in asked})
    if len(asked) < 2 or len(references) < 2:
        return None
    # (answers, references): which answer would be right for which reference; the rest is drawing.
    right = np.array([[metric.right(answer, reference) for reference in references] for answer, _ in asked])
    own = np.array([references.index(reference) for _, reference in asked])
    places, random = np.arange(len(asked)), np.random.default_rng(SEED)
    count = right[places, own].sum()
    dealt = np.array([right[places, random.permutation(own)].sum() for _ in range(SHUFFLES)])
    return float((1 + (dealt >= count).sum()) / (1 + SHUFFLES))


def loss_figures(rows: Sequence[MeasuredRow], evidence: Evidence) -> dict[str, Any]:
    """The held-out loss of both, per token, and KL on the task's own rows."""
    kl, tokens = [row.loss.kl for row in rows], sum(row.tokens for row in rows)
    return {
        "base": evidence.base,
        "tuned": evidence.tuned,
        "difference": evidence.loss._asdict(),
        "better": evidence.better,
        "tokens": tokens,
        "kl": sum(value for value in kl if value is not None) / tokens if None not in kl else None,
        "own_answers": evidence.own._asdict() if evidence.own else None,
    }


def answer_figures(rows: Sequence[MeasuredRow], metric: Metric, chance: float | None) -> dict[str, Any] | None:
    """Of the rows that were answered: right ones, other shares, and how answers end and repeat themselves."""
    asked = [(row, row.answers) for row in rows if row.answers is not None]
    if not asked:
        return None
    table, count = right_table(rows, metric), len(asked)
    shares: dict[str, Any] = {}
    measures: dict[str, Callable[[Answer, MeasuredRow], float]] = {
        **{name: _by_text(share) for name, share in metric.shares.items()},
        "ends by itself": lambda answer, row: float(answer.ended),
        "repeats itself": lambda answer, row: float(repeats(answer.text)),
        "length by the reference's": lambda answer, row: len(answer.text) / max(1, len(row.reference)),
    }
    for name, measure in measures.items():
        values = [[measure(answer, row) for answer in answers] for row, answers in asked]
        shares[name] = [sum(pair[side] for pair in values) / count for side in (0, 1)]
    return {
        "rows": count,
        "table": {**table.__dict__, "p": table.p},
        "right": [
            wilson(table.both + table.broken, count)._asdict(),
            wilson(table.both + table.fixed, count)._asdict(),
        ],
        "chance": chance,
        "shares": shares,
    }


def _by_text(share: Callable[[str, str], float]) -> Callable[[Answer, MeasuredRow], float]:
    return lambda answer, row: share(answer.text, row.reference)


def repeats(text: str) -> bool:
    """Whether a run of 8 words (of text without blanks: characters) comes three times or more."""
    words = text.split()
    units = words if len(words) > len(text) / 20 else list("".join(words))
    runs = Counter(tuple(units[start : start + GRAM]) for start in range(len(units) - GRAM + 1))
    return max(runs.values(), default=0) >= REPEATS


def regressions(rows: Sequence[MeasuredRow], metric: Metric) -> list[dict[str, Any]]:
    """The rows that got worse most: broken answers first, then by loss a token."""

    def badness(row: MeasuredRow) -> tuple[bool, float]:
        broken = False
        if metric.decides and row.answers is not None:
            base, tuned = (metric.right(answer.text, row.reference) for answer in row.answers)
            broken = base and not tuned
        return broken, (row.loss.tuned - row.loss.base) / row.tokens

    ordered = sorted(((badness(row), row) for row in rows), key=lambda pair: pair[0], reverse=True)[:WORST]
    return [
        {
            "source": row.source,
            "prompt": row.prompt,
            "reference": row.reference,
            "base": row.answers[0].text if row.answers else None,
            "tuned": row.answers[1].text if row.answers else None,
            "base_loss": row.loss.base / row.tokens,
            "tuned_loss": row.loss.tuned / row.tokens,
            "broken": broken,
        }
        for (broken, worse), row in ordered
        if broken or worse > 0
    ]


def forgetting(measured: Measured, evidence: Evidence) -> dict[str, Any] | None:
    """General questions that were lost, and how neutral text fared, by register."""
    if not measured.texts and not measured.questions:
        return None
    registers = list(dict.fromkeys(text.register for text in measured.texts))
    by_register = [_register(name, [text for text in measured.texts if text.register == name]) for name in registers]
    questions = [
        {"kind": question.kind, "question": question.question, "right": list(question.right)}
        | {"answers": [answer.text for answer in question.answers]}
        for question in measured.questions
    ]
    return {
        "forgets": verdict.forgets(evidence),
        "questions": {
            "table": {**evidence.questions.__dict__, "p": evidence.questions.p},
            "lost": [question for question in questions if question["right"] == [True, False]],
            "asked": questions,
        }
        if evidence.questions
        else None,
        "neutral": evidence.neutral._asdict() if evidence.neutral else None,
        "kl": evidence.kl,
        "registers": by_register,
    }


def _register(name: str, texts: Sequence[MeasuredText]) -> dict[str, Any]:
    tokens = sum(text.tokens for text in texts)
    return {
        "register": name,
        "tokens": tokens,
        "base": sum(text.loss.base for text in texts) / tokens,
        "tuned": sum(text.loss.tuned for text in texts) / tokens,
        "kl": _mean_kl(texts),
    }


def _neutral(texts: Sequence[MeasuredText]) -> Interval | None:
    """Tuned less base on neutral text, over whole texts."""
    if not texts:
        return None
    values = [text.loss.tuned - text.loss.base for text in texts]
    return ratio_interval(values, [text.tokens for text in texts], [text.name for text in texts], SEED)


def _mean_kl(texts: Sequence[MeasuredText]) -> float | None:
    values = [text.loss.kl for text in texts if text.loss.kl is not None]
    return sum(values) / sum(text.tokens for text in texts) if values and len(values) == len(texts) else None


def limits(rows: Sequence[MeasuredRow], metric: Metric, evidence: Evidence) -> dict[str, Any]:
    """What so many rows show in 80 of 100 cases: the least change of the loss, and of the share of right answers."""
    half = (evidence.loss.high - evidence.loss.low) / 2
    figures: dict[str, Any] = {"loss": half / 1.96 * (1.96 + 0.8416)}
    if metric.decides and evidence.table:
        table = evidence.table
        discordant = max(0.1, min(0.5, (table.fixed + table.broken) / table.rows))
        figures |= {
            "discordant": discordant,
            "gain": least_gain(table.rows, discordant),
            "needed": {str(gain): rows_needed(gain, max(gain, discordant)) for gain in GAINS},
        }
    return figures


def brief(measured: Measured, metric: Metric) -> dict[str, Any]:
    """The verdict once more, for a part of the rows, or beside another model."""
    evidence = evidence_of(measured, metric)
    return {
        "against": measured.against,
        "verdict": verdict.word(evidence),
        "sentence": verdict.sentence(evidence),
        "rows": evidence.rows,
    }


def compared(names: Sequence[str], rows: Sequence[Sequence[MeasuredRow]]) -> list[dict[str, Any]]:
    """Several runs on the same rows, the one with the lowest loss first; p is Holm's."""
    intervals = [difference(of_run) for of_run in rows]
    adjusted = holm([bootstrap_p(interval) for interval in intervals])
    table = [
        {
            "run": name,
            "base": sum(row.loss.base for row in of_run) / sum(row.tokens for row in of_run),
            "tuned": sum(row.loss.tuned for row in of_run) / sum(row.tokens for row in of_run),
            "difference": interval._asdict(),
            "p": p,
        }
        for name, of_run, interval, p in zip(names, rows, intervals, adjusted, strict=True)
    ]
    return sorted(table, key=lambda line: line["difference"]["value"])
