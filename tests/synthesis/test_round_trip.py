"""Questions asked again: what counts as the same answer, what is rejected, and what a model is said to know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
    author = Author({"What is the lamp?": "A burner.", "How many": "6", "When": Unanswered("It sleeps.")})
    asked = [right, wrong, silent, rule, without]
    (settled,) = side_by_side([round_trip.again(asked, Wording(), INDEX.weight)], author)
    assert [candidate.question for candidate, _ in settled] == [candidate.question for candidate in asked]
    assert [candidate.agreed for candidate, _ in settled] == [True, False, None, None, None]
    assert [reason for _, reason in settled if reason] == [
        "has another number when its question is asked again: 6 in place of 8"
    ]
    assert len(author.asked) == 3
    prompt = author.asked[0].messages[0].content
    assert LIGHT[0] in prompt
    assert prompt.endswith("What is the lamp?")
    assert "A paraffin burner." not in prompt


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
