"""Grounding and the rules of thumb: what is let through, and what is not."""

from __future__ import annotations

import pytest

from gemmalocal.documents.document import Passage
from gemmalocal.synthesis import checks, ground
from gemmalocal.synthesis.piece import Candidate, Piece, pair

TEXT = (
    "The “Pharos” was re-\nlieved on 3 May 1871 — in fog. She carried 1,200 litres of paraffin\u00ad, six wicks\n"
    "and  a crew of nine… The keepers cheered."
)


@pytest.mark.parametrize(
    "quote",
    [
        'the "pharos" was relieved on 3 May 1871',
        "1871 - in fog",
        "SIX WICKS AND A CREW OF NINE... the keepers",
        "was relieved on 3 May ... 1,200 litres of paraffin",
        "… a crew of nine …",
        "'The keepers cheered.'",
    ],
)
def test_a_quote_is_found_whatever_a_hand_changes(quote: str) -> None:
    assert ground.problem(quote, TEXT) is None


@pytest.mark.parametrize(
    ("quote", "says"),
    [
        ("six wicks and a crew of ten", "does not occur"),
        ("1,200 litres of paraffin ... was relieved on 3 May", "does not occur"),
        ("he keepers cheer", "does not occur"),
        ("...", "has no evidence"),
        ("nine", "too short"),
    ],
)
def test_what_is_no_quote_is_told(quote: str, says: str) -> None:
    assert says in str(ground.problem(quote, TEXT))


def test_scripts_without_spaces_are_quoted_too() -> None:
    assert ground.problem("东京是日本的首都", "我们知道，东京是日本的首都。它很大。") is None


def problem_of(question: str, answer: str, evidence: str = "The keepers cheered.", text: str = TEXT) -> str | None:
    piece = Piece("d", "Pharos", Passage("p.md", 0, text))
    return checks.problem(Candidate(piece, pair(piece, question, answer), evidence, "model", question, answer))


@pytest.mark.parametrize(
    ("question", "answer", "says"),
    [
        ("Who cheered when the Pharos came?", "The keepers cheered.", None),
        ("What does this passage say about the keepers?", "They cheered.", "only makes sense beside its text"),
        ("According to the text, who cheered?", "The keepers.", "only makes sense beside its text"),
        ("Who cheered at the relief?", "The text states that the keepers cheered.", "speaks of its text"),
        ("Who cheered at the relief?", "According to it, the keepers cheered.", "speaks of its text"),
        ("Who cheered at the relief?", "I'm sorry, I cannot answer.", "refuses"),
        ("Who cheered at the relief?", '{"question": "Who"}', "repeats its prompt"),
        ("Who cheered at the relief?", "cheered " * 30, "over and over"),
        ("How many litres did she carry?", "She carried 1200 litres.", None),
        (
            "Why did she carry litres?",
            "She is a library that safely prevents attacks.",
            "says what is not in its passage",
        ),
        ("How many litres did she carry?", "She carried 1500 litres.", "number in its answer"),
        ("Кто приветствовал смену на маяке?", "Смотрители.", "another script"),
        (
            "Wer hat gejubelt?",
            "Die Leuchtturmwärter haben sehr laut gejubelt, als das Schiff endlich in den Hafen kam.",
            "another language",
        ),
        ("Who?", "The keepers.", "too short"),
        ("Who cheered at the relief?", "Who cheered at the relief", "answers with the question"),
    ],
)
def test_rules_of_thumb(question: str, answer: str, says: str | None) -> None:
    problem = problem_of(question, answer)
    assert problem is None if says is None else says in str(problem)


def test_an_answer_may_speak_of_a_document_that_its_passage_speaks_of() -> None:
    text = "The master signs the document before the ship leaves the harbour, and keeps it."
    assert problem_of("What does the master sign?", "The master signs the document.", text, text) is None
    assert "“the section”" in str(problem_of("What does the master sign?", "What the section says.", text, text))
