"""What an author is asked: where a passage stands, which kinds of question, and another way where one gave none."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from gemmalocal.documents.document import Passage
from gemmalocal.recipe.prepare_schema import MIX, Preparation
from gemmalocal.synthesis import checks, ground
from gemmalocal.synthesis.allotment import spread, wanted_rows
from gemmalocal.synthesis.context import situated, vocabulary
from gemmalocal.synthesis.coverage import coverage
from gemmalocal.synthesis.create import create, more
from gemmalocal.synthesis.facts import key_sentences
from gemmalocal.synthesis.kinds import chosen, kind_of
from gemmalocal.synthesis.piece import Candidate, Piece, pair
from gemmalocal.synthesis.tasks import TASKS
from gemmalocal.synthesis.wording import OWN, Wording
from tests.synthesis.test_making import GOOD, TEXT, Author, order, piece

PAGES = (
    "A fyke is a net that is held open by hoops. The Otter Trust lends each of them.",
    "The Otter Trust counts every eel. Set the fyke before dusk. It is lifted in the morning.",
    "Eels are sold by the Otter Trust in Newquay. Nobody weighs them.",
)
NUMBERS = (
    "In 1871 it had 6 wicks, because oil was dear. First trim the wicks. Then fill it with oil, up to the rim, at dusk."
)


def pages(*texts: str, document: str = "d", tokens: int = 0) -> list[Piece]:
    return [
        Piece(document, "Eels", Passage(f"{document}.md", number, text, "Eels > Nets", tokens=tokens), file="eels.md")
        for number, text in enumerate(texts)
    ]


def test_a_passage_is_told_what_came_before_and_what_its_document_means() -> None:
    first, second, third = situated(pages(*PAGES))
    assert (first.before, second.before) == ("", "The Otter Trust lends each of them.")
    assert second.terms == ("fyke (A fyke is a net that is held open by hoops)", "Otter Trust")
    assert third.terms == (
        "Otter Trust",
    )  # only what it speaks of itself: an edit elsewhere leaves its prompt as it is
    assert first.terms == ("Otter Trust",)  # what it says itself, it is not told
    prompt = Wording().ask(TASKS["qa"], second, 2, ["what", "when"]).messages[0].content
    for line in ("Title: Eels", "Heading: Eels > Nets", "Just before: The Otter Trust lends", "Words: fyke (A fyke is"):
        assert line in prompt
    assert prompt.index("Just before") < prompt.index(PAGES[1]) < prompt.index('1. "what"') < prompt.index('2. "when"')


def test_a_meaning_that_a_passage_gives_over_two_lines_is_its_own() -> None:
    long = f"A fyke is a net that\nis held open by hoops {'of steel ' * 20}. Set the fyke before dusk."
    own, other = situated(pages(long, PAGES[1]))
    assert own.terms == ()
    assert other.terms[0].startswith("fyke (A fyke is a net that is held open by hoops of steel")


@pytest.mark.parametrize("task", ["qa", "cot", "summary"])
def test_prompts_begin_alike_so_that_a_server_keeps_what_it_has_read(task: str) -> None:
    own = situated(pages(*PAGES))
    prompts = [Wording().ask(TASKS[task], of, count).messages[0].content for of in own for count in (1, 3)]
    head = prompts[0].partition("Title:")[0]
    assert len(head) > 300
    assert all(prompt.startswith(head) for prompt in prompts)
    one, three = (prompt.partition(PAGES[0])[0] for prompt in prompts[:2])
    assert one == three  # the passage comes before what is asked of it
    again = Wording().ask_facts(TASKS["qa"], own[0], ["a"]).messages[0].content
    assert again.partition("Title:")[0] != head


@pytest.mark.parametrize(
    "text", ["Ein Ǽtna (Æ) — «x» “„“ *** `` : - \n- : \n", "", "ประภาคารคือหอคอย", "A" * 5000, "「」は、塔である。"]
)
def test_any_text_can_be_situated(text: str) -> None:
    assert len(situated(pages(text, text))) == 2
    assert chosen(MIX, text, 5)
    assert key_sentences(pages(text)[0]) is not None


def test_each_kind_comes_as_often_as_its_weight_says() -> None:
    texts = [f"{NUMBERS} {number}" for number in range(800)]
    counts = Counter(kind for text in texts for kind in chosen(MIX, text, 3))
    assert set(counts) == set(MIX)
    assert counts["what"] > 1.3 * counts["why"]
    assert counts["follow_up"] < 400
    assert all("follow_up" not in chosen(MIX, text, 3)[:2] for text in texts)  # it goes on from another
    assert all(len(set(chosen(MIX, text, 3))) == 3 for text in texts)
    assert {kind for text in texts for kind in chosen({"how": 1, "why": 0}, text, 2)} == {"how"}
    bare = [f"The lamp shines far {word}." for word in ("ahead", "away", "out", "off", "below", "above")]
    assert not {"how_much", "when", "why", "list"} & {kind for text in bare for kind in chosen(MIX, text, 3)}
    assert chosen({"how_much": 1}, bare[0], 1) == ["what"]  # nothing that was asked for fits: still a question


@pytest.mark.parametrize(
    ("question", "said", "kind"),
    [
        ("How many keepers serve at Eddystone?", "what", "how_much"),
        ("In what year was the lens made?", "what", "when"),
        ("Why is the lamp trimmed?", "how", "why"),
        ("What is the purpose of the siren?", "", "why"),
        ("How does a siren work?", "why", "how"),
        ("How do you fill the lamp?", "steps", "steps"),
        ("Which tools fill the lamp?", "list", "list"),
        ("What is a Debian package?", "which", "what"),  # said by a real author of 1.5B
        ("Wo steht die Lampe?", "which", "which"),
        ("Wo steht die Lampe?", "nonsense", "what"),
        ("And why?", "follow_up", "follow_up"),
    ],
)
def test_a_question_is_of_the_kind_that_it_says(question: str, said: str, kind: str) -> None:
    assert kind_of(question, said) == kind


def test_a_follow_up_makes_one_conversation_whose_first_question_stands_alone() -> None:
    second = {
        "kind": "follow_up",
        "question": "And when was it made?",
        "answer": "In 1871.",
        "evidence": "It was made in 1871",
    }
    result = next(create([piece()], order(), Author(json.dumps({"rows": [{**GOOD, "kind": "what"}, second]}))))
    (row,) = result.kept
    assert [turn.content for turn in row.record.messages] == [
        GOOD["question"], GOOD["answer"], second["question"], second["answer"],
    ]  # fmt: skip
    assert (row.kind, row.question) == ("follow_up", GOOD["question"])
    assert ground.problem(row.evidence, TEXT) is None
    assert row.columns()["kind"] == "follow_up"
    alone = next(create([piece()], order(attempts=1), Author(json.dumps({"rows": [second]}))))
    assert [reason for _, reason in alone.rejected] == ["goes on from a row that is not there"]


def test_kinds_are_asked_for_by_name_and_ones_own_prompt_need_know_none(tmp_path: Path) -> None:
    author = Author(json.dumps({"rows": [GOOD]}))
    list(create([piece(NUMBERS)], replace(order(), mix={"how_much": 1.0}), author))
    assert author.asked[0].schema is not None
    row = author.asked[0].schema["properties"]["rows"]["items"]
    assert row["properties"]["kind"]["enum"] == ["how_much"]
    assert 'how_much": asks for a number' in author.asked[0].messages[0].content
    (tmp_path / "qa.j2").write_text("{{ count }} {{ title }} {{ heading }} {{ passage }} {{ instruction }}")
    prompt = Wording(tmp_path).ask(TASKS["qa"], piece(), 2, ["what", "how"])
    assert prompt.schema is not None
    assert list(prompt.schema["properties"]["rows"]["items"]["properties"]) == ["question", "answer", "evidence"]
    assert prompt.messages[0].content == f"2 Light Lamp {TEXT} "[:-1]


def test_a_prompts_own_example_is_no_row() -> None:
    for name in ("qa", "cot", "facts", "unanswerable", "premise"):
        assert checks.EXAMPLE in (OWN / f"{name}.j2").read_text()
    leaked = {**GOOD, "question": "How often must the lens of the Eddystone lighthouse be cleaned?"}
    result = next(create([piece()], order(attempts=1), Author(json.dumps({"rows": [leaked]}))))
    assert [reason for _, reason in result.rejected] == ["repeats its prompt: “Eddystone”"]
    own = piece(f"The Eddystone lighthouse has a lamp. {TEXT}")
    assert next(create([own], order(attempts=1), Author(json.dumps({"rows": [leaked]})))).rejected == []


def test_a_passage_without_a_row_is_asked_about_in_another_way() -> None:
    facts = {"rows": [{"sentence": 2, "question": "How many keepers serve the station?", "answer": "Three."}]}
    facts["rows"].append({"sentence": 99, "question": "What else is there at all?", "answer": "Nothing."})
    author = Author("nonsense", json.dumps(facts))
    result = next(create([piece()], order(attempts=2), author))
    assert [row.evidence for row in result.kept] == [key_sentences(piece())[1]]
    assert {row.by for row in result.kept} == {"model"}
    first, second = (prompt.messages[0].content for prompt in author.asked)
    assert "Write one row for each of these sentences" in second
    assert not second.startswith(first[:200])


def test_wanted_rows_are_spread_by_length_and_missing_ones_asked_for_elsewhere() -> None:
    own = [*pages("x", "x", tokens=100), *pages("x", document="e", tokens=600), *pages("x", document="f", tokens=200)]
    assert spread(own, 10) == [1, 1, 6, 2]
    assert spread(own, 1) == [0, 0, 1, 0]
    assert sum(spread(own, 7)) == 7
    assert wanted_rows(own, None, 2.5) == 2  # of 1000 tokens
    assert wanted_rows(own, 9, None) == 9
    assert wanted_rows(own, None, None) is None
    eels = situated(pages(*PAGES))
    kept = [Candidate(eels[0], pair(eels[0], "q", "a"), "A fyke is a net", "model", "q", "a")]
    told = (("When is the fyke lifted?", "In the morning."), ("Where are eels sold?", "In Newquay."))
    rows = [{"sentence": 1, "question": question, "answer": answer} for question, answer in told]
    author = Author(*(json.dumps({"rows": [row]}) for row in rows))
    results = list(more(eels, kept, 2, order(), author))
    assert [result.piece.passage.number for result in results] == [1, 2]  # those without a row come first
    assert all(len(result.kept) == 1 for result in results)
    lines = [prompt.messages[0].content.rpartition("1. ")[2] for prompt in author.asked]
    assert lines == [key_sentences(eels[1])[0], key_sentences(eels[2])[0]]


def test_coverage_tells_what_no_row_is_about() -> None:
    own = [*pages(*PAGES, "| a | b |"), *pages("The pump has 2 handles and is painted green.", document="e")]
    first = Candidate(own[0], pair(own[0], "What is a fyke of the Otter Trust?", "A net."), "x", "model")
    seen = coverage(own, [first], {id(own[4]): "a row refuses"})
    assert (seen["passages"], seen["with_row"], seen["share"]) == (4, 1, 0.25)  # the table is no prose
    assert seen["numbers"] == {"in_documents": 1, "in_rows": 0}
    assert seen["names"]["in_rows"] == 1
    assert [item["source"] for item in seen["by_document"]] == ["e.md", "d.md"]  # the least covered first
    assert seen["not_covered"][0] == {
        "source": "e.md", "heading": "Eels > Nets", "begins": own[4].passage.text, "why": "a row refuses",
    }  # fmt: skip
    assert coverage([], [], {})["share"] == 1.0
    assert "fyke" in vocabulary(own[:3]).meanings


@pytest.mark.parametrize(
    ("given", "mix"),
    [
        ("what=2, how", {"what": 2.0, "how": 1.0}),
        (["how-much", "steps"], {"how_much": 1.0, "steps": 1.0}),
        ({"why": 3}, {"why": 3.0}),
    ],
)
def test_a_mix_is_given_as_text_list_or_weights(given: object, mix: dict[str, float]) -> None:
    assert Preparation.model_validate({"sources": ["x"], "kinds": given}).kinds == mix


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"kinds": "whom"}, "'whom' is no kind of question. They are what, how"),
        ({"kinds": {"what": "much"}}, "a weight must be a number"),
        ({"kinds": {"what": 0}}, "one of them more than 0"),
        ({"kinds": 5}, "must be kinds of question"),
        ({"rows": 5, "per_1000_tokens": 2}, "rows and per_1000_tokens cannot go together"),
        ({"rows": 5, "pairs": 2}, "pairs and rows cannot go together"),
        ({"rows": 5, "task": "text"}, "rows does not go with the task text"),
        ({"unanswerable": 0.1, "author": "rules"}, "needs a model or a server"),
        ({"unanswerable": 0.1, "task": "summary"}, "the task is summary"),
    ],
)
def test_wishes_that_do_not_fit_are_a_sentence(keys: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Preparation.model_validate({"sources": ["x"], **keys})
