"""Planted cases get their verdict, whether they forget or not; and nothing is rarely called help."""

from __future__ import annotations

import numpy as np
import pytest

from gemmalocal.evaluation.conclude import compared, conclude
from gemmalocal.evaluation.measured import Answer, Loss, Measured, MeasuredQuestion, MeasuredRow, MeasuredText
from gemmalocal.evaluation.metrics import metric
from gemmalocal.jobs.plurals import counted

FREE = metric("rouge", [])


def rows(
    effect: float, seed: int = 0, count: int = 80, noise: float = 0.3, swapped: float | None = None
) -> list[MeasuredRow]:
    """Rows whose loss changes by an effect, nats a token; `swapped`: how much worse answers of other rows are."""
    random, made = np.random.default_rng(seed), []
    for number in range(count):
        tokens, base = int(random.integers(5, 60)), float(random.uniform(1, 4))
        tuned = base + effect + float(random.normal(0, noise))
        other = None if swapped is None else tuned + swapped + float(random.normal(0, 0.1))
        loss = Loss(base * tokens, tuned * tokens, 0.1 * tokens)
        made.append(MeasuredRow(f"r:{number}", str(number), f"q{number}", f"a{number}", tokens, loss, other))
    return made


def answered(given: list[MeasuredRow], pairs: list[tuple[str, str]], references: list[str]) -> list[MeasuredRow]:
    """The same rows with answers of both."""
    return [
        MeasuredRow(
            row.source, row.cluster, row.prompt, reference, row.tokens, row.loss, None,
            (Answer(pair[0], 3, True), Answer(pair[1], 3, True)),
        )
        for row, pair, reference in zip(given, pairs, references, strict=True)
    ]  # fmt: skip


def texts(rise: float) -> list[MeasuredText]:
    return [
        MeasuredText(f"register {number % 5}", str(number), 100, Loss(300.0, 300 + 100 * rise + number % 3, 5.0))
        for number in range(30)
    ]


def questions(lost: int, won: int = 0) -> list[MeasuredQuestion]:
    right = [(True, False)] * lost + [(False, True)] * won + [(True, True)] * (40 - lost - won)
    return [MeasuredQuestion("sum", "1 + 1?", (Answer("2", 1, True), Answer("3", 1, True)), pair) for pair in right]


@pytest.mark.parametrize(
    ("word", "measured"),
    [
        ("helps", Measured(rows(-0.4))),
        ("helps", Measured(rows(-0.4), texts(0.02), questions(1))),
        ("helps", Measured(rows(-0.4, swapped=0.5))),
        ("no difference", Measured(rows(-0.4, swapped=0.0))),  # answers were shuffled between rows
        ("no difference", Measured(rows(0.0))),
        ("no difference", Measured(rows(-1e-4, noise=1e-6))),  # a rate of 1e-9: surely better, by nothing
        ("no difference", Measured(rows(-0.4, count=1))),
        ("no difference but forgets", Measured(rows(0.0), texts(0.0), questions(9))),
        ("hurts", Measured(rows(0.4), texts(0.02), questions(1))),
        ("hurts and forgets", Measured(rows(0.4), texts(0.9), questions(20))),
        ("helps but forgets", Measured(rows(-0.4), texts(0.5), questions(2))),
        ("helps but forgets", Measured(rows(-0.4), texts(0.0), questions(9))),
    ],
)
def test_planted_cases(word: str, measured: Measured) -> None:
    figures = conclude(measured, FREE)
    assert figures["verdict"] == word
    only_form = word == "no difference" and measured.rows[0].swapped is not None
    opening = (
        "No difference but in form"
        if only_form
        else f"No difference that {counted(len(measured.rows), 'row')} can show"
    )
    forgets = ", but it forgets" if "forgets" in word else ""
    opening = f"{opening}{forgets}" if word.startswith("no difference") else word.capitalize()
    assert figures["sentence"].startswith(f"{opening}: held-out loss")


def test_right_answers_decide_where_they_differ() -> None:
    references = [f"word {number}" for number in range(80)]
    exact = metric("exact", references)
    worse, better = [("x", "y")] * 80, [("x", reference) for reference in references]
    assert conclude(Measured(answered(rows(0.3), better, references)), exact)["verdict"] == "helps"
    broken = [(reference, "y") for reference in references]
    assert conclude(Measured(answered(rows(-0.3), broken, references)), exact)["verdict"] == "hurts"
    figures = conclude(Measured(answered(rows(-0.3), worse, references)), exact)
    assert figures["verdict"] == "helps"  # no answer is right: the loss speaks
    assert figures["answers"]["table"]["neither"] == 80
    # Both as likely to be right by a reference of another row: only the form was learned.
    labels = ["yes", "no"] * 40
    flat = conclude(Measured(answered(rows(0.0), [("hm", "yes")] * 80, labels)), metric("label", labels))
    assert flat["answers"]["table"]["fixed"] == 40
    assert flat["verdict"] == "no difference"
    assert flat["answers"]["chance"] > 0.9


def test_nothing_is_called_help_in_one_of_twenty_at_most() -> None:
    measured = rows(-0.4, seed=5, noise=0.6)
    random, called = np.random.default_rng(3), 0
    for _ in range(200):  # base and tuned change places at random: there is no difference
        swaps = random.random(len(measured)) < 0.5
        losses = [
            Loss(row.loss.tuned, row.loss.base) if swap else row.loss for row, swap in zip(measured, swaps, strict=True)
        ]
        null = [
            MeasuredRow(row.source, row.cluster, "", "", row.tokens, loss)
            for row, loss in zip(measured, losses, strict=True)
        ]
        called += conclude(Measured(null), FREE)["verdict"] == "helps"
    assert called <= 10


def test_regressions_and_leaks_are_listed_and_the_verdict_is_given_without_them() -> None:
    measured = rows(-0.4)
    leaked = [
        MeasuredRow(row.source, row.cluster, row.prompt, row.reference, row.tokens, row.loss, leak="train.jsonl:3")
        for row in measured[:60]
    ]
    figures = conclude(Measured([*leaked, *measured[60:]]), FREE)
    assert len(figures["leakage"]["rows"]) == 60
    assert figures["leakage"]["without"]["rows"] == 20
    assert 0 < len(figures["regressions"]) <= 5
    rises = [line["tuned_loss"] - line["base_loss"] for line in figures["regressions"]]
    assert rises == sorted(rises, reverse=True)
    assert min(rises) > 0


def test_several_runs_stand_by_their_gain() -> None:
    table = compared(["none", "best", "good"], [rows(0.0), rows(-0.6), rows(-0.3)])
    assert [line["run"] for line in table] == ["best", "good", "none"]
    assert table[0]["p"] < 0.001 < table[2]["p"]


def test_rows_of_one_document_still_have_an_interval() -> None:
    alone = [MeasuredRow(row.source, "manual.pdf", "", "", row.tokens, row.loss) for row in rows(-0.4)]
    assert conclude(Measured(alone), FREE)["loss"] == conclude(Measured(rows(-0.4)), FREE)["loss"]
