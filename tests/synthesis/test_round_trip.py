"""Questions asked again: what counts as the same answer, what is rejected, and what a model is said to know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from gemmalocal.documents.document import Passage
from gemmalocal.records import Message
from gemmalocal.synthesis import agreement, round_trip
from gemmalocal.synthesis.asking import Prompt, Unanswered
from gemmalocal.synthesis.dialogue import side_by_side
from gemmalocal.synthesis.kinds import UNANSWERABLE
from gemmalocal.synthesis.piece import Candidate, Piece, pair
from gemmalocal.synthesis.retrieval import IndexedText, TextIndex
from gemmalocal.synthesis.wording import Wording

LIGHT = (
    "The lamp is a paraffin burner with six wicks. It stands inside a lens of 172 glass prisms that was made in 1871.",
    "Three keepers serve the station in watches of four hours. The principal keeper writes the journal of the light.",
    "The siren is driven by compressed air. It is used in fog, which is reported on about 40 days of each year.",
)
INDEX = TextIndex([IndexedText(text) for text in LIGHT])
SAME = [  # question, first answer, second answer
    ("When was the lens made?", "It was made in 1871.", "1871"),
    ("What is the lamp?", "The lamp is a paraffin burner.", "a Paraffin Burner with six wicks"),
    ("How is the siren driven?", "By compressed air.", "It is driven by compressed air."),
    ("Who writes the journal?", "The principal keeper.", "the principal keeper writes it"),
    ("Is the lamp a burner or a candle?", "A burner.", "burner"),
    ("透镜有多少块棱镜？", "透镜由172块玻璃棱镜组成。", "172块玻璃棱镜"),
    ("Wie viele Dochte?", "Die Lampe hat sechs Dochte.", "Sechs Dochte."),
]
OTHER = [
    ("When was the lens made?", "It was made in 1871.", "It was made in 1872.", "another number"),
    ("What is the lamp?", "The lamp is a paraffin burner.", "The lamp is a tallow candle.", "answered otherwise"),
    ("How is the siren driven?", "By compressed air.", "The text does not say.", "answered otherwise"),
    ("Who writes the journal?", "The principal keeper.", "", "answered otherwise"),
    ("Is it used in fog?", "Yes.", "No.", "answered otherwise"),
    ("透镜有多少块棱镜？", "172块。", "40块。", "another number"),
]


@pytest.mark.parametrize(("question", "first", "second"), SAME)
def test_the_same_in_other_words(question: str, first: str, second: str) -> None:
    assert agreement.disagreement(first, second, question, INDEX.weight) is None
    assert agreement.disagreement(second, first, question, INDEX.weight) is None


@pytest.mark.parametrize(("question", "first", "second", "why"), OTHER)
def test_another_answer(question: str, first: str, second: str, why: str) -> None:
    assert why in str(agreement.disagreement(first, second, question, INDEX.weight))


def test_an_answer_is_grounded_by_its_new_words_and_its_numbers() -> None:
    question = "What is the lamp of the light?"
    assert agreement.grounded("The lamp is a paraffin burner.", question, LIGHT[0], INDEX.weight) == 1
    assert agreement.grounded("A tallow candle from Spain.", question, LIGHT[0], INDEX.weight) < agreement.GROUNDED
    assert agreement.grounded("A paraffin burner with 7 wicks.", question, LIGHT[0], INDEX.weight) == 0


class Author:
    """Answers with the value of the first key that occurs in a prompt; remembers what it was asked."""

    def __init__(self, answers: dict[str, str | Unanswered]) -> None:
        self.answers, self.asked = answers, list[Prompt]()

    def __call__(self, prompts: Iterable[Prompt]) -> Iterator[tuple[int, str | Unanswered]]:
        for place, prompt in enumerate(prompts):
            self.asked.append(prompt)
            text = prompt.messages[0].content
            yield place, next(answer for key, answer in self.answers.items() if key in text)


def row(question: str, answer: str, by: str = "model", kind: str = "") -> Candidate:
    of = Piece("d", "The light", Passage("d.md", 0, LIGHT[0], "Lamp"), file="d.md")
    return Candidate(of, pair(of, question, answer), LIGHT[0], by, question, answer, kind=kind)


def test_what_disagrees_is_rejected_and_what_got_no_answer_is_kept() -> None:
    right = row("What is the lamp?", "It burns.\n\nAnswer: A paraffin burner.")  # one that thinks aloud
    wrong = row("How many wicks are there?", "The lamp has 8 wicks.")
    silent, rule = row("When was it made?", "In 1871."), row("What is a lens?", "Glass.", by="rules")
    without = row("Who paid for it?", "The documents do not say.", kind=UNANSWERABLE)
    sleeps = Unanswered("It sleeps.")
    author = Author({"2.": sleeps, "What is the lamp?": "A burner.", "How many": "6", "When": sleeps})
    asked = [right, wrong, silent, rule, without]
    (settled,) = side_by_side([round_trip.again(asked, Wording(), INDEX.weight)], author)
    assert [candidate.question for candidate, _ in settled] == [candidate.question for candidate in asked]
    assert [candidate.agreed for candidate, _ in settled] == [True, False, None, None, None]
    assert [reason for _, reason in settled if reason] == [
        "has another number when its question is asked again: 6 in place of 8"
    ]
    assert len(author.asked) == 1 + 3
    prompt = author.asked[1].messages[0].content
    assert LIGHT[0] in prompt
    assert prompt.endswith("What is the lamp?")
    assert "A paraffin burner." not in prompt


@pytest.mark.parametrize(
    ("together", "alone"),
    [
        ("1. A paraffin burner.\n2. 6\n3. In 1871.", []),
        ("**1.** A paraffin burner.\n\n2) Six, it is\n6 wicks.\n 3: 1871\n4. No more.", []),
        ("1. A paraffin burner.\n3. In 1871.", ["How many"]),  # one has no answer
        ("1. A burner.\n1. A candle.\n2. 6\n3. 1871", ["What is"]),  # one has two
        ("1. A burner.\n2. 7\n3. 1871", ["How many"]),  # one is another: it may be that of another question
        ("A paraffin burner.", ["What is", "How many", "When"]),
        ("", ["What is", "How many", "When"]),
    ],
)
def test_the_questions_of_a_passage_are_asked_together(together: str, alone: list[str]) -> None:
    rows = [
        row("What is the lamp?", "A paraffin burner."),
        row("How many wicks are there?", "There are 6."),
        row("When was it made?", "In 1871."),
    ]
    author = Author({"2. ": together, "What is": "A burner.", "How many": "6", "When": "In 1871."})
    (settled,) = side_by_side([round_trip.again(rows, Wording(), INDEX.weight)], author)
    assert [(candidate.agreed, reason) for candidate, reason in settled] == [(True, "")] * 3
    asked = [prompt.messages[0].content for prompt in author.asked]
    assert asked[0].endswith("Write each answer on a line of its own, behind the number of its question.")
    assert len(asked) == 1 + len(alone)
    assert all(begin in text.rpartition("Question:")[2] for begin, text in zip(alone, asked[1:], strict=True))
    shared = asked[0].partition("Questions:")[0]
    assert all(text.startswith(shared) for text in asked[1:])  # a server has it cached


def test_a_prompt_of_ones_own_that_takes_one_question_gets_one(tmp_path: Path) -> None:
    (tmp_path / "answer.j2").write_text("Say: {{ question }}")
    author = Author({"lamp": "A burner.", "When": "1871"})
    rows = [row("What is the lamp?", "A burner."), row("When was it made?", "In 1871.")]
    (settled,) = side_by_side([round_trip.again(rows, Wording(tmp_path), INDEX.weight)], author)
    assert [candidate.agreed for candidate, _ in settled] == [True, True]
    assert [prompt.messages[0].content for prompt in author.asked] == [
        "Say: What is the lamp?",
        "Say: When was it made?",
    ]


def test_what_is_known_is_marked() -> None:
    known, new = row("What is the lamp?", "A paraffin burner."), row("When was it made?", "In 1871.", by="rules")
    other = row("", "A text.")
    author = Author({"What is the lamp?": "I believe a paraffin burner with wicks.", "When": "In 1900."})
    marked = dict(round_trip.with_knowledge([known, other, new], author, True, INDEX.weight))
    assert {place: candidate.known for place, candidate in marked.items()} == {0: True, 2: False}
    assert [prompt.messages for prompt in author.asked] == [
        (Message("user", "What is the lamp?"),),
        (Message("user", "When was it made?"),),
    ]
    assert marked[2].columns()["known"] is False
    assert "known" not in new.columns()


def test_a_base_model_gets_a_line_to_go_on_from() -> None:
    author = Author({"": "1871"})
    assert dict(round_trip.with_knowledge([row("When?", "In 1871.")], author, False, INDEX.weight))[0].known
    assert author.asked[0].messages[0].content == "Question: When?\nAnswer:"
