"""Questions that the documents do not answer, or that take something wrong for granted: kept only if they do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from gemmalocal.documents.document import Passage
from gemmalocal.synthesis import unanswerable
from gemmalocal.synthesis.asking import Prompt
from gemmalocal.synthesis.create import PieceResult
from gemmalocal.synthesis.dialogue import side_by_side
from gemmalocal.synthesis.piece import Candidate, Piece, pair
from gemmalocal.synthesis.retrieval import PassageIndex
from gemmalocal.synthesis.wording import Wording

TEXTS = (
    "The lens of Seal Rock light has 172 glass prisms. It was made in Paris in 1871.",
    "The siren of Seal Rock light is driven by compressed air. It sounds for five seconds in each minute.",
    "Three keepers of Seal Rock light serve in watches of four hours. The keeper writes the journal in the evening.",
    "The boat of Seal Rock light brings oil each month. The boat lands on the north side of the rock.",
)
MISSING = {
    "question": "How heavy is the lens of Seal Rock light?",
    "missing": "the weight of the lens",
    "answer": "The lens of Seal Rock light has 172 glass prisms, but the documents do not say how heavy it is.",
}
PREMISE = {
    "right": "Paris",
    "wrong": "London",
    "question": "Who ordered the lens of Seal Rock light in London?",
    "answer": "The lens of Seal Rock light was not made in London, but in Paris, in 1871.",
}


def pieces() -> list[Piece]:
    return [Piece("d", "Seal Rock", Passage("d.md", number, text, "Light")) for number, text in enumerate(TEXTS)]


def author(missing: Any = MISSING, premise: Any = PREMISE, verdict: Any = None) -> Any:
    def ask(prompts: Iterable[Prompt]) -> Iterator[tuple[int, str]]:
        for number, prompt in enumerate(prompts):
            text = prompt.messages[0].content
            row = premise if "take something wrong" in text else missing
            row = (verdict or {"evidence": "", "answered": False}) if text.startswith("Can the question") else row
            yield number, row if isinstance(row, str) else json.dumps({"rows": [row]})

    return ask


def made(own: list[Piece], kept: list[Piece], count: int, ask: Any) -> list[PieceResult]:
    rows = [Candidate(of, pair(of, "q", "a"), of.passage.text.partition(". ")[2], "model", "q", "a") for of in kept]
    return list(unanswerable.create(rows, count, unanswerable.Missed(Wording(), PassageIndex(own)), ask))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"question": "How many glass prisms has the lens of Seal Rock light?"}, "may be answered in the documents"),
        ({"question": "How is the siren of Seal Rock light driven?"}, "is not near its passage"),
        ({"question": "How heavy is the lens in this text?"}, "has a question that only makes sense beside its text"),
        ({"answer": "The lens of Seal Rock light has 172 prisms and weighs much."}, "does not say that the documents"),
        ({"answer": "The documents do not say that the lens weighs 900 pounds."}, "has a number in its answer"),
    ],
)
def test_a_question_is_near_its_passage_and_not_answered(change: dict[str, str], reason: str) -> None:
    own = pieces()
    missed = unanswerable.Missed(Wording(), PassageIndex(own))
    (result,) = side_by_side([missed.unanswerable(own[0])], author({**MISSING, **change}))
    assert [why for _, why in result.rejected if not why.startswith(reason)] == []
    assert len(result.rejected) == bool(reason)
    assert [row.kind for row in result.kept] == ([] if reason else ["unanswerable"])
    if not reason:
        columns = result.kept[0].columns()
        assert (columns["kind"], columns["by"]) == ("unanswerable", "model")
        assert "evidence" not in columns


def test_what_the_author_finds_an_answer_to_is_no_such_question() -> None:
    own = pieces()
    missed = unanswerable.Missed(Wording(), PassageIndex(own))
    found = {"evidence": "has 172 glass prisms", "answered": True}
    (result,) = side_by_side([missed.unanswerable(own[0])], author(verdict=found))
    assert [why for _, why in result.rejected] == ["is answered in the documents: has 172 glass prisms"]
    made_up = {"evidence": "it weighs nine tons", "answered": True}  # which no text says
    (result,) = side_by_side([missed.unanswerable(own[0])], author(verdict=made_up))
    assert len(result.kept) == 1
    (result,) = side_by_side([missed.unanswerable(own[0])], author(verdict="perhaps"))
    assert [why for _, why in result.rejected] == ["may be answered: its author did not say"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"right": "Rome"}, "has a fact that is not in its evidence"),
        ({"wrong": "1871"}, "takes for granted what its passage says"),
        ({"question": "Who ordered the lens of Seal Rock light?"}, "does not take for granted what is wrong"),
        ({"question": "Was the lens of Seal Rock light made in Paris or London?"}, "does not take for granted"),
        ({"answer": "The lens was not made in London."}, "does not put right what is wrong"),
        (
            {"right": "1871", "wrong": "spring", "question": "Who bought it in spring?"},
            "does not put right|another sort",
        ),
    ],
)
def test_a_premise_is_wrong_and_put_right(change: dict[str, str], reason: str) -> None:
    (own, *_) = pieces()
    row = Candidate(own, pair(own, "q", "a"), "It was made in Paris", "model", "q", "a")
    missed = unanswerable.Missed(Wording(), PassageIndex(pieces()))
    (result,) = side_by_side([missed.wrong_premise(row)], author(premise={**PREMISE, **change}))
    assert len(result.kept) == (not reason)
    if reason:
        assert any(part in result.rejected[0][1] for part in reason.split("|"))
    else:
        assert result.kept[0].evidence == "It was made in Paris in 1871."
        assert result.kept[0].kind == "wrong_premise"


def test_a_share_is_made_and_no_more_and_the_same_again() -> None:
    own = pieces()
    rows = [(row.kind, row.piece.passage.number) for result in made(own, own[:1], 2, author()) for row in result.kept]
    assert sorted(rows) == [("unanswerable", 0), ("wrong_premise", 0)]
    assert rows == [
        (row.kind, row.piece.passage.number) for result in made(own, own[:1], 2, author()) for row in result.kept
    ]
    assert made(own, own, 0, author()) == []
    bad = made(own, own, 2, author("nonsense", "nonsense"))
    assert not any(result.kept for result in bad)
    assert len(bad) == 2 * unanswerable.ROUNDS
    assert unanswerable.wanted(90, 0.1) == 10
    assert unanswerable.wanted(90, 0) == 0
    usual = [Candidate(own[0], pair(own[0], f"q{n}", "a"), "", "model") for n in range(9)]
    such = [Candidate(own[0], pair(own[0], f"u{n}", "a"), "", "model", kind="unanswerable") for n in range(4)]
    kept, gone = unanswerable.capped([*usual, *such], 0.1)
    assert (len(kept), len(gone)) == (10, 3)
    assert unanswerable.counted(kept) == {"unanswerable": 1, "wrong_premise": 0}
