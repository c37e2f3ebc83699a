"""A judge's choices in both orders come to a verdict, or to a reason why there is none."""

from __future__ import annotations

import pytest

from gemmalocal.evaluation.conclude import conclude
from gemmalocal.evaluation.judged import Choice, Outcome, judged, outcome, sentence
from gemmalocal.evaluation.measured import Loss, Measured
from gemmalocal.evaluation.metrics import metric
from gemmalocal.evaluation.preferred import rated
from gemmalocal.synthesis.asking import Unanswered
from gemmalocal.synthesis.better import LONGEST, Two, choice, prompts
from gemmalocal.synthesis.wording import Wording
from tests.evaluation.test_verdict import rows

Choices = tuple[Choice, Choice]
TUNED: Choices = ("second", "first")
BASE: Choices = ("first", "second")
FLIP: Choices = ("first", "first")


@pytest.mark.parametrize(
    ("base_first", "tuned_first", "says"),
    [
        ("second", "first", "tuned"),
        ("first", "second", "base"),
        ("tie", "tie", "tie"),
        ("tie", "first", "tie"),
        ("first", "first", "flip"),
        ("second", "second", "flip"),
        ("", "first", "unread"),
        ("tie", "", "unread"),
    ],
)
def test_both_orders_must_agree(base_first: Choice, tuned_first: Choice, says: Outcome) -> None:
    assert outcome(base_first, tuned_first) == says


def test_a_judges_verdict() -> None:
    better = judged([TUNED] * 30 + [BASE] * 6 + [FLIP] * 4, 10, "base")
    assert better["verdict"] == "prefers the tuned model"
    assert (better["rows"], better["ties"], better["flip_rate"]) == (50, 10, 0.1)
    assert better["share"]["value"] == pytest.approx(30 / 36)
    assert better["share"]["low"] > 0.5
    assert judged([BASE] * 30, 0, "sft-1")["verdict"] == "prefers sft-1"
    assert judged([TUNED] * 5 + [BASE] * 5, 0, "base")["verdict"] == "no difference that 10 rows can show"
    nothing = judged([], 8, "base")
    assert (nothing["verdict"], nothing["share"]) == ("no difference that 8 rows can show", None)


def test_one_that_goes_by_the_place_gives_none() -> None:
    figures = judged([FLIP] * 31 + [TUNED] * 69, 0, "base")
    assert figures["verdict"] is None
    assert "31" in figures["why"]
    assert "stood first" in figures["why"]
    assert sentence({**figures, "by": "m"}).startswith("No verdict of the judge m: Of 100 rows")
    assert judged([FLIP] * 30 + [TUNED] * 70, 0, "base")["verdict"] == "prefers the tuned model"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ('{"rows": [{"better": "A", "reason": "x"}]}', "first"),
        ('{"better": "b"}', "second"),
        ('```json\n{"rows": [{"better": "Answer B"}]}\n```', "second"),
        ('{"rows": [{"better": "equal"}]}', "tie"),
        ("A", "first"),
        ("Tie.", "tie"),
        ("I cannot say.", ""),
        ('{"rows": [{"better": "C"}]}', ""),
        ("", ""),
        (Unanswered("no"), ""),
    ],
)
def test_what_judges_write_is_read(answer: str | Unanswered, says: str) -> None:
    assert choice(answer) == says


def test_a_judge_is_shown_texts_that_end() -> None:
    two = Two("q" * 9 * LONGEST, "", ("x" * 9 * LONGEST, ""))
    first, second = prompts([two], Wording())
    assert len(first.messages[0].content) < 3 * LONGEST
    assert first.messages[0].content != second.messages[0].content
    assert "(nothing)" in first.messages[0].content
    assert "known to be good" not in first.messages[0].content
    assert first.schema is not None
    assert first.schema["properties"]["rows"]["items"]["properties"]["better"]["enum"] == ["A", "B", "tie"]


def test_ratings_are_told_apart_and_not_only_raised() -> None:
    good, free = rows(-0.4, count=40, noise=0.05), metric("rouge", [])
    apart = conclude(Measured(good, bad=[Loss(50, 60)] * 40), free)
    assert apart["verdict"] == "helps"
    assert apart["rated"]["share"]["value"] > 0.9
    assert "answers moved the right way" in apart["sentence"]
    raised = conclude(Measured(good, bad=[Loss(60, 50)] * 4), free)
    assert raised["rated"]["share"]["value"] > 0.8  # all good ones, and yet nothing was told apart
    assert raised["verdict"] == "no difference"
    wrong = conclude(Measured(rows(0.4, count=40, noise=0.05), bad=[Loss(60, 50)] * 40), free)
    assert wrong["verdict"] == "hurts"
    assert rated(good, []) is None
