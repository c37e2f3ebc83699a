"""What a passage says sentence by sentence, how questions about that begin, and which way of asking an author leads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gemmalocal.documents.document import Passage
from gemmalocal.recipe.prepare_schema import MIX
from gemmalocal.synthesis import checks, fitting, ground, mending
from gemmalocal.synthesis.asking import Prompt, Unanswered
from gemmalocal.synthesis.create import MANY, TRIED, Order, create
from gemmalocal.synthesis.facts import key_sentences
from gemmalocal.synthesis.language import foreign
from gemmalocal.synthesis.openings import opening
from gemmalocal.synthesis.piece import Candidate, Piece, pair
from gemmalocal.synthesis.retrieval import PassageIndex
from gemmalocal.synthesis.wording import Wording
from tests.synthesis.test_making import order

LONG = "Which keys, made of iron and kept in the hall of the warden, open the lid of the deep well?"
WELL = """3.1. The well of Tarn

How deep is the well? The well of Tarn is 40 metres deep. It was dug by monks in 1312, because the river had moved.
See also the plan in section 4 of the survey. For details ask the warden of the castle. To draw water, do this:
1. The warden opens the lid with an iron key.
2. turn the wheel slowly

The winch was made in Leeds (see figure 2) and holds 90 kilograms."""


def well(text: str = WELL, number: int = 0) -> Piece:
    return Piece("d", "Tarn Castle", Passage("d.md", number, text, "Tarn Castle > The well"), file="d.md")


def test_sentences_that_tell_something_are_asked_about_with_what_they_lean_on() -> None:
    told = key_sentences(well())
    assert told[0] == "The well of Tarn is 40 metres deep. It was dug by monks in 1312, because the river had moved."
    assert "The warden opens the lid with an iron key." in told
    pointing = next(line for line in told if line.startswith("The winch was made in Leeds"))
    whole = key_sentences(well(pointing.replace(" (see figure 2)", "") + " The monks of Tarn had 90 keys of brass."))
    assert whole[0].startswith("The winch")
    assert key_sentences(well(f"{pointing} The monks of Tarn had 90 keys."))[1] == pointing
    assert len(told) == 3
    assert all(ground.problem(line, WELL) is None for line in told)
    assert key_sentences(well("井戸は四十メートルの深さがある。鍵は鉄でできている。")) != []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How deep is the well of Tarn?", "The well of Tarn is 40 metres deep."),
        ("Is the well of Tarn deep?", "Yes, the well of Tarn is deep."),
        ("Does the pump of Tarn need oil?", "The pump of Tarn needs oil."),
        ("What is the key of Tarn made of?", "The key of Tarn is made of tin."),
        ("What is used by DNS for small queries?", "UDP is used by DNS for small queries."),
        ("Who wrote the first program for the Engine?", "Ada wrote the first program for the Engine."),
        ("How do you remove a file in Git?", "Use git rm."),
        ("Which character begins a comment in a shell script?", "The # character begins a comment in a shell script."),
        ("What does the pump of Tarn need?", "The pump of Tarn does not need oil."),
        ("What is the container of Tarn filled with?", "The container of Tarn is filled with contaminated sand."),
        ("What is the purpose of the winch of Tarn?", "The winch of Tarn lifts water from the well."),
        ("What is the winch of Tarn?", "The winch of Tarn is a wheel with a rope."),
        ("What is the colour of the lamp of Tarn?", "The colour of the lamp of Tarn is red."),
        ("What is the number of keepers of Tarn?", "The number of keepers of Tarn is seven."),
        ("What is the default timeout of the client?", "The default timeout of the client is set to 30 seconds."),
        ("What is the default state of the proxy?", "The default state of the proxy is disabled."),
        ("What was the top speed of the train?", "The top speed of the train reached 300 km/h."),
        ("List the keys of Tarn.", "The keys of Tarn are an iron one and a brass one."),
        ("In what year was the well dug? Give only the year.", "It was dug in 1312."),
        ("Calculate the volume of the well.", "The volume of the well is 125 cubic metres."),
        ("How many keepers are there?", "There are twenty-five keepers."),
        ("How many ships passed?", "Thousands of ships passed the light."),
        ("How does Git move a commit from one branch to another?", "By cherry-pick it is put onto the other."),
        ("What does the law grant to those who report a crime?", "Those who report a crime may claim a reward."),
        ("What does Section 230 of the Decency Act protect?", "It protects who runs a server from what others write."),
        ("Why is the lid of the well shut?", "This is because leaves would fall in."),
        ("What is the purpose of the page table in an operating system?", "It maps addresses to frames."),
        ("What was the sentence of the thief of Tarn?", "He had to dig for a year."),
    ],
)  # fmt: skip
def test_a_row_that_teaches_something_is_not_refused_for_its_form(question: str, answer: str) -> None:
    assert fitting.problem(question, answer, WELL) is None


@pytest.mark.parametrize(
    ("question", "answer", "why"),
    [
        (LONG, f"{LONG.replace('Which', 'Several')[:-1]}.", "says its answer"),
        (
            "How does what you can carry depend on the strength of a monk of Tarn?",
            "What you can carry depends on your strength as a monk of Tarn.",
            "says its answer",
        ),
        (
            "What was the duty of each monk?",
            "The duty of each monk was clearly assigned by the prior.",
            "what something",
        ),
        ("Who is the warden of Tarn?", "The warden is elected by the monks of Tarn.", "what something is"),
        ("What is the title of the chapter?", "The title is The Well of Tarn Castle.", "is called"),
        ("What is the second sentence about?", "The winch was made in Leeds.", "is called"),
        ("Why were two keys added in this year?", "Two keys were added since one was lost.", "points at"),
        ("What does Figure 2 show of the winch?", "The winch of Tarn with its rope.", "points at"),
        ("How many wells has Tarn?", "Tarn has a well in the yard.", "asks how many"),
        ("The warden opens the lid of the well.", "The warden opens it with a key.", "asks nothing"),
        ("What could happen to the well?", "These leaves could fall in.", "leans on"),
    ],
)
def test_a_row_that_teaches_nothing_is_refused(question: str, answer: str, why: str) -> None:
    assert why in str(fitting.problem(question, answer, WELL))


def test_odd_rows_are_no_reason_to_end() -> None:
    for question, answer in (
        ("What is  ?", "A well."),
        (" \n", "A well."),
        ("?", "?"),
        ("What is “”?", "“” is a sign."),
    ):
        fitting.problem(question, answer, WELL)
    assert fitting.problem("How is this lid locked?", "By the warden.", WELL, follows=True) is None
    assert "points at" in str(fitting.problem("How is this lid locked?", "By the warden.", WELL))


@pytest.mark.parametrize(
    ("question", "answer", "same"),
    [
        ("ランプは何でできていますか？", "ランプは真鍮とガラスでできています。", "ランプは何でできています"),
        ("谁点亮灯？", "看守人点亮灯。", "谁点亮灯"),
        ("등대는 무엇으로 만들어졌습니까?", "등대는 돌로 만들어졌습니다.", "등대는 무엇으로 만들어졌습니까"),
        ("ประภาคารสร้างจากอะไร", "ประภาคารสร้างจากหิน", "ประภาคารสร้างจากอะไร"),
        ("ممّ بنيت المنارة؟", "بنيت المنارة من حجر.", "ممّ بنيت المنارة"),
        ("Wie ist die Lampe des Turms?", "Die Lampe des Turms ist rot.", "Die Lampe des Turms ist."),
    ],
)
def test_of_other_languages_only_what_says_nothing_new_is_refused(question: str, answer: str, same: str) -> None:
    assert fitting.problem(question, answer, answer) is None
    assert "says its answer" in str(fitting.problem(question, same, answer))


def test_what_is_of_another_language_has_neither_small_words_nor_the_passages() -> None:
    german = "Der Brunnen von Tarn ist vierzig Meter tief, und der Wärter hat zwei Schlüssel aus Eisen für den Deckel."
    assert foreign(german, WELL)
    for line in (
        "Insert iron key, turn lid slowly, remove rope, lower bucket, and draw water.",
        "How can I tell my browser to open PDF files in a new tab by default?",
    ):
        assert not foreign(line, WELL)
    command = "python -m pip install wheel --upgrade --target folder --no-deps --quiet --find-links here"
    assert not foreign(command, f"Run this: {command}")


@pytest.mark.parametrize(
    ("sentence", "begin"),
    [
        ("To draw water, the warden opens the lid.", "How"),
        ("The lid is shut so that no leaves fall in.", "Why"),
        ("The warden keeps two iron keys.", "How many"),
        ("The well was dug in 1312 by the prior.", "When"),
        ("When the river floods, the lid is screwed down.", "What happens"),
        ("A winch is a machine that lifts a bucket.", "What is"),
        ("The prior gave Tarn his blessing.", ""),
    ],
)
def test_how_a_question_about_a_sentence_begins(sentence: str, begin: str) -> None:
    assert opening(MIX, sentence) == begin
    assert opening({"which": 1.0}, sentence) == ""


def row(question: str, of: Piece) -> Candidate:
    evidence = "is made of iron"
    return Candidate(of, pair(of, question, "It is iron."), evidence, "model", question, "It is iron.")


def test_a_question_that_names_too_little_says_where_it_was_read() -> None:
    first = well(
        "The key of the lid is made of iron and has three teeth. It hangs in the hall of the warden, by the stairs."
    )
    other = replace(well("The key of the gate is made of brass and has five teeth.", 1), title="Tarn Gate")
    index = PassageIndex([first, replace(other, document="e", passage=replace(other.passage, heading="Gate"))])
    vague = row("What is the key made of?", first)
    assert checks.ambiguity(vague, index) is not None
    mended = mending.placed(vague, index)
    assert mended is not None
    assert mended.question == "In “Tarn Castle”, what is the key made of?"
    assert mended.record.messages[0].content == mended.question
    assert mending.placed(row("What is it made of?", first), index) is None
    assert mending.placed(row("Name the metal of the key.", first), index) is None


class SmallAuthor:
    """Writes rows of whole passages, or of sentences, and is bad at the other, but for one passage."""

    def __init__(self, good_at: str, but_for: str = "") -> None:
        self.good_at, self.but_for = good_at, but_for
        self.asked = list[str]()

    def __call__(self, prompts: Iterable[Prompt]) -> Iterator[tuple[int, str | Unanswered]]:
        for number, prompt in enumerate(prompts):
            text = prompt.messages[0].content
            about = "sentences" if "one row for each of these sentences" in text else "passages"
            self.asked.append(about)
            tower = text.rpartition("Tower ")[2].split()[0]
            answer = f"Tower {tower} is guarded by a bell of bronze."
            made: dict[str, object] = {"question": f"What is Tower {tower} guarded by?", "answer": answer}
            made |= {"sentence": 1} if about == "sentences" else {"evidence": answer}
            good = (about == self.good_at) is (tower != self.but_for) and "Tower " in text
            yield number, json.dumps({"rows": [made]}) if good else "nonsense"


def towers(count: int) -> list[Piece]:
    text = "Tower {0} is guarded by a bell of bronze. The prior of Tarn blessed the bell."
    return [well(text.format(f"{name}{place}"), place) for place in range(count) for name in ("Zul",)]


def wanted(about: str = "auto") -> Order:
    return replace(order(attempts=2), count=1, about=about)  # type: ignore[arg-type]


@pytest.mark.parametrize("good_at", ["passages", "sentences"])
def test_the_way_that_gives_more_rows_leads_where_there_are_many_passages(good_at: str) -> None:
    pieces = towers(TRIED * MANY + 4)
    author = SmallAuthor(good_at)
    results = list(create(pieces, wanted(), author))
    assert {result.piece.passage.number for result in results} == set(range(len(pieces)))
    assert {result.about for result in results} == {good_at}
    assert all(result.authored for result in results)
    rest = author.asked[-(len(pieces) - TRIED) :]
    assert set(rest) == {good_at}
    assert author.asked.count(good_at) == len(pieces)


def test_what_one_way_made_of_a_passage_on_which_both_were_tried_is_not_lost() -> None:
    pieces = towers(TRIED * MANY)
    tried = {SmallAuthor("passages", f"Zul{place}"): place for place in range(0, len(pieces), MANY // 2)}
    for author, place in tried.items():
        results = {result.piece.passage.number: result for result in create(pieces, wanted(), author)}
        assert all(result.authored for result in results.values())
        assert {result.about for number, result in results.items() if number != place} == {"passages"}


def test_few_passages_are_asked_about_first_and_a_way_can_be_set(tmp_path: Path) -> None:
    author = SmallAuthor("sentences")
    results = list(create(towers(3), wanted(), author))
    assert sorted(author.asked) == ["passages"] * 3 + ["sentences"] * 3
    assert all(result.authored for result in results)
    author = SmallAuthor("sentences")
    assert all(result.authored for result in create(towers(3), wanted("sentences"), author))
    assert author.asked == ["sentences"] * 3
    (tmp_path / "qa.j2").write_text("{{ count }} {{ passage }}")
    own = replace(wanted(), wording=Wording(tmp_path))
    author = SmallAuthor("passages")
    pieces = towers(TRIED * MANY)
    list(create(pieces, own, author))
    assert author.asked == ["passages"] * len(pieces)  # nothing is tried


def test_sentences_are_asked_about_further_on_until_one_gives_a_row() -> None:
    own = well("The abbey of Tarn has 12 bells and 3 towers of stone. Tower Zul is guarded by a bell of bronze.")
    assert [line.startswith("The abbey") for line in key_sentences(own)] == [True, False]
    author = SmallAuthor("sentences")
    result = next(create([own], wanted("sentences"), author))
    assert (result.authored, len(author.asked)) == (True, 2)
    assert next(create([own], replace(wanted("sentences"), attempts=1), SmallAuthor("sentences"))).authored is False


def test_a_trial_without_an_answer_decides_nothing() -> None:
    class Asleep(SmallAuthor):
        """Does not answer what is asked about sentences at first."""

        def __call__(self, prompts: Iterable[Prompt]) -> Iterator[tuple[int, str | Unanswered]]:
            for number, answer in super().__call__(prompts):
                asleep = self.asked[-1] == "sentences" and self.asked.count("sentences") <= TRIED - 1
                yield number, Unanswered("The server sleeps.") if asleep else answer

    results = list(create(towers(TRIED * MANY), wanted(), Asleep("sentences")))
    assert {result.about for result in results if not result.unanswered} == {"sentences"}
