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
from gemmalocal.synthesis.tasks import TASKS
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
    ("question", "answer", "why"),
    [
        ("How deep is the well of Tarn?", "The well of Tarn is 40 metres deep.", ""),
        ("Is the well of Tarn deep?", "Yes, the well of Tarn is deep.", ""),
        ("Which key opens the lid of the well?", "An iron key opens the lid of the well.", ""),
        ("What is the purpose of the winch of Tarn?", "The winch of Tarn lifts water from the well.", ""),
        ("What is the winch of Tarn?", "The winch of Tarn is a wheel with a rope.", ""),
        ("What are the keys of Tarn made of?", "The keys of Tarn are made of iron.", ""),
        ("List the keys of Tarn.", "The keys of Tarn are an iron one and a brass one.", ""),
        ("How many keys has the warden?", "The warden has two keys.", ""),
        (
            "Why is the lid of the well kept shut so that no leaves fall into it in autumn?",
            "The lid of the well is kept shut so that no leaves fall into it in autumn.",
            "says its answer already",
        ),
        ("What is the digging of the well?", "The digging of the well required forty monks and a year.", "what"),
        ("What was the duty of each monk?", "The duty of each monk was clearly assigned by the prior.", "what"),
        ("What is the title of the chapter?", "The title is The Well of Tarn Castle.", "is called"),
        ("What is the second sentence about?", "The winch was made in Leeds.", "is called"),
        ("Why were two keys added in this year?", "Two keys were added since one was lost.", "points at"),
        ("How many wells has Tarn if it has 1 well?", "Tarn has 1 well in the yard.", "asks how many"),
        ("Who is the warden of Tarn?", "The warden is elected by the monks of Tarn.", "what"),
        ("Who is the warden of Tarn?", "The warden of Tarn is Brother Paul.", ""),
        ("What does Figure 2 show of the winch?", "The winch of Tarn with its rope.", "points at"),
        (LONG, f"{LONG.replace('Which', 'Several')[:-1]}. The warden has them.", "says its answer"),
        ("The warden opens the lid of the well.", "The warden opens it with a key.", "asks nothing"),
    ],
)  # fmt: skip
def test_a_question_asks_and_its_answer_is_what_it_asks_for(question: str, answer: str, why: str) -> None:
    found = fitting.problem(question, answer, WELL)
    assert (why in found) if found and why else found is None and not why


def test_what_only_english_words_tell_is_asked_of_english_alone() -> None:
    german = "Der Brunnen von Tarn ist vierzig Meter tief, und der Wärter hat zwei Schlüssel aus Eisen für den Deckel."
    assert fitting.problem("Nenne die Tiefe des Brunnens von Tarn!", "Er ist vierzig Meter tief.", german) is None
    said = "Der Brunnen von Tarn ist vierzig Meter tief."
    assert "says its answer" in str(fitting.problem(f"{said[:-1]}, oder?", said, german))
    assert foreign(german)
    assert not foreign("Insert iron key, turn lid slowly, remove rope, lower bucket, and draw water.")


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
            good = (about == self.good_at) is (tower != self.but_for)
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
    own = well("The abbey has a bell of bronze. Tower Zul0 is guarded by a bell of bronze, since 1312.")
    first, second = key_sentences(own)
    author = SmallAuthor("sentences")
    result = next(create([own], replace(wanted("sentences"), task=TASKS["qa"]), author))
    assert result.authored
    assert len(author.asked) <= 2
    assert {first, second} == set(key_sentences(own))
