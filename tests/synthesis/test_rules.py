"""What rules ask, and of what they keep silent: only what a sentence, a list or a section answers by its form."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from gemmalocal.documents.document import Passage
from gemmalocal.synthesis import asked_headings, curate, ground, rules
from gemmalocal.synthesis.piece import Candidate, Piece, pair

TEXT = (
    "The lamp is a burner with six wicks. Prisms are pieces of glass that bend light. It was made in 1871. "
    "Three keepers serve the station in watches of four hours, and one of them writes the journal."
)


def piece(text: str = TEXT, heading: str = "Lamp", title: str = "Light", number: int = 0) -> Piece:
    return Piece("d", title, Passage("d.md", number, text, heading), file="d.md")


def asked(text: str, heading: str = "Parts", title: str = "Light", count: int = 9) -> dict[str, str]:
    """The questions about a text, each with its kind; all are answered by what stands there."""
    found = rules.questions(piece(text, heading, title), count, seed=0)
    assert all(ground.problem(question.evidence, text) is None for question in found)
    assert all(question.answer == question.evidence for question in found)
    return {question.question: question.kind for question in found}


SENTENCES = {
    "The lens is a ring of glass with two hundred prisms.": "what is the lens?",
    "Prisms are pieces of glass that bend the light.": "what are prisms?",
    "The siren is used to warn ships in the fog at night.": "what is the siren used for?",
    "Honey is made from nectar that workers dry in the comb.": "what is honey made from?",
    "`max_length` is the number of tokens of a row.": "what is `max_length`?",
    "The default of `split` is 0.1 of the rows.": "what is the default of `split`?",
    "The log of a watch is kept in the tower, where it is dry.": "where is the log of a watch kept?",
    "The lens has 172 prisms of glass that were cut in 1871.": "how many prisms does the lens have?",
    "The tower is about 40 meters high.": "how many meters high is the tower?",
    "The two towers of the harbour are 40 meters high.": ("how many meters high are the two towers of the harbour?"),
    "Three keepers serve the station in the winter months.": (
        "how many keepers serve the station in the winter months?"
    ),
    "The tower was built by two brothers in 1871 and has stood since.": ("when was the tower built by two brothers?"),
    "Ann Sullivan was born on 4 May 1866 near the harbour.": "when was Ann Sullivan born?",
    "To clean the lens, use a dry cloth and no oil at all.": "how do you clean the lens?",
    "If the lamp goes out, the keeper lights the second burner.": ("what happens if the lamp goes out?"),
    "When a ship is near, the keeper sounds the siren of the tower.": ("what happens when a ship is near?"),
    "The journal contains the weather of each day and night.": "what does the journal contain?",
    "The keeper uses a siren to warn the ships in the fog.": "what does the keeper use to warn the ships in the fog?",
    "The log sends a row to Node.js when the lamp goes out.": "what does the log send when the lamp goes out?",
    "Light returns to the tower from the mirrors of the harbour.": "",
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_is_asked_what_it_answers(sentence: str) -> None:
    rest = "Nobody had been there, and that was the end of what they could see of the whole."
    expected = SENTENCES[sentence]
    found = [re.sub("^In “Light”(?: under “Parts”)?, ", "", question) for question in asked(f"{sentence} {rest}")]
    assert found == ([expected] if expected else [])


@pytest.mark.parametrize(
    "sentence",
    [
        "It is a burner with six wicks that the keeper lights.",
        "The result is a list of the names that were found.",
        "The file you specified is a link to the other one.",
        "In most cases the file is a link to the other one.",
        "Unfortunately the keeper is a man with no ears for it.",
        "The first is a number, and the second is a name of it.",
        "This means that the light of the tower is out again.",
        "Is the light a burner with six wicks, or is it not?",
        "The light is not a burner, and has never been one here.",
        "If it goes out, the keeper lights the second burner.",
        "To do this, use a dry cloth and no oil at all, please.",
        "See [the list](https://example.org) is a link of the page.",
        "A function was called with a parameter that was bad.",
        "The app holds no more of the run than that directory.",
        "Two things are needed for the light of the tower here.",
        "The keeper wants to have a light that nobody can see.",
    ],
)
def test_what_leaves_a_doubt_is_not_asked(sentence: str) -> None:
    assert asked(f"{sentence} And the rest that was there had been with them for their whole lives.") == {}


def test_no_question_is_without_its_place_unless_it_names_what_the_document_is_called() -> None:
    assert asked("NumPy is a package for arrays that the others were built on.", "", "NumPy") == {
        "What is NumPy?": "definition"
    }
    assert asked("The lamp is a burner with six wicks that are wide.", "", "") == {}
    assert asked("NumPy is a package for arrays that the others were built on.", "", "") == {
        "What is NumPy?": "definition"
    }


STEPS = "1. Open the lid that is on top.\n2. Fill in the oil with the can.\n   It must be clean.\n3. Close the lid.\n"


@pytest.mark.parametrize(
    ("before", "heading", "question"),
    [
        ("To fill the lamp:\n", "Oil", "In “Light” under “Oil”, how do you fill the lamp?"),
        ("", "How to fill the lamp", "In “Light” under “How to fill the lamp”, how do you fill the lamp?"),
        ("", "Filling the lamp", "In “Light” under “Filling the lamp”, what are the steps of filling the lamp?"),
        ("", "Fill the lamp", "In “Light” under “Fill the lamp”, how do you fill the lamp?"),
        ("", "Oil", "In “Light” under “Oil”, which steps are given?"),
    ],
)
def test_steps_are_asked_for_by_the_line_before_them_or_their_heading(before: str, heading: str, question: str) -> None:
    found = rules.questions(piece(f"# {heading}\n\n{before}\n{STEPS}\nAnd that is all there is.", heading), 3, 0)
    assert [(each.question, each.kind) for each in found] == [(question, "steps")]
    assert found[0].answer == STEPS.strip()


@pytest.mark.parametrize(
    "text",
    [
        "1. The oil.\n2. The lid.\n",
        "1. Open the lid.\n",
        "3. Open the lid.\n4. Fill in the oil.\n",
        "1871 was a year.\n",
    ],
)
def test_a_list_that_is_no_steps_is_not_asked_for(text: str) -> None:
    assert rules.questions(piece(f"# Oil\n\n{text}", "Oil"), 3, 0) == []


def test_a_heading_is_asked_about_only_where_its_section_is_one_statement() -> None:
    statement = "Fog was reported on many days, and the siren had been silent."
    text = f"## Fog\n\n{statement}\n"
    assert asked(text, "Light > Fog") == {"What does “Light” say about “Fog”?": "heading"}
    assert asked(f"{text}\nNobody had heard of that before, and they were glad.", "Light > Fog") == {}
    assert asked(f"{text}\n- a list\n- of things\n", "Light > Fog") == {}


def test_a_passage_is_asked_one_question_of_each_kind_before_a_second() -> None:
    kinds = list(asked(f"{TEXT} A keeper is a person of the light. The old tower was built in 1871.", count=3).values())
    assert Counter(kinds) == {"definition": 2, "date": 1}


def test_each_kind_has_a_share_and_no_passage_loses_its_only_row_for_it() -> None:
    def row(number: int, kind: str) -> Candidate:
        of = piece(number=number)
        return Candidate(of, pair(of, f"{number} {kind}?", "a"), "a", "rules", kind=kind)

    rows = [row(number, "definition") for number in range(60)]
    rows += [row(number, "gap") for number in range(50)] + [row(100 + number, "heading") for number in range(50)]
    kept, dropped = curate.capped(rows)
    kinds = Counter(candidate.kind for candidate in kept)
    assert kinds == {"definition": 60, "gap": 40, "heading": 20}
    assert {reason for _, reason in dropped} == {
        "is beyond its kind's share: 40 rows that ask for a gap",
        "is beyond its kind's share: 20 rows that ask for a heading",
    }
    assert curate.capped(rows[:60]) == (rows[:60], [])  # of one kind alone each is its passage's only row


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Die Lampe ist ein Brenner mit sechs Dochten. Das Licht leuchtet weit über das Meer.", "--gaps"),
        ("| a | b |\n| c | d |", "no whole sentence"),
        ("However, it is so that they are.", "too few sentences"),
    ],
)
def test_a_passage_that_gives_nothing_says_why(text: str, says: str) -> None:
    assert rules.questions(piece(text), 3, seed=0) == []
    assert says in rules.silence(piece(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Die Lampe ist ein Brenner mit sechs Dochten. Das Licht leuchtet achtzehn Meilen weit über das Meer.", "____"),
        ("ประภาคารคือหอคอยที่ส่องแสง มันถูกสร้างขึ้นในปี 1871 ผู้ดูแลสามคนทำงานที่นั่น", None),
        ("dh_installinit debian/package.init を編集して dh_make の example を使うことができます。", None),
    ],
)
def test_other_languages_get_gaps_without_a_word_of_english_or_nothing(text: str, says: str | None) -> None:
    asked = rules.questions(piece(text), 3, seed=0, gaps=True)
    if says is None:
        assert asked == []
        return
    assert asked
    for question in asked:
        left, right = question.question.split(says)
        assert question.answer.startswith(left)
        assert question.answer.endswith(right)


JAPANESE = """灯台とは、船に位置を知らせるための塔である。この灯台は古いものです。
レンズは172個のガラスのプリズムでできています。
三人の守り手が四時間ごとに交代で勤務します。「霧が出た。」と言われると、守り手は圧縮空気でサイレンを
鳴らします。"""
CHINESE = """灯塔是给船只指示位置的塔。它很古老。透镜由172块玻璃棱镜组成。
最重要的是保持清洁。守塔人每晚写日志，并且把灯擦干净。"""


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        (
            JAPANESE,
            {
                "灯台について教えてください。": "灯台とは、船に位置を知らせるための塔である。",
                "「Light」からの次の文の空欄を埋めてください：レンズは____個のガラスのプリズムでできています。": (
                    "レンズは172個のガラスのプリズムでできています。"
                ),
                "「Light」からの次の文の空欄を埋めてください：三人の守り手が四時間ごとに____で勤務します。": (
                    "三人の守り手が四時間ごとに交代で勤務します。"
                ),
                "「Light」からの次の文の空欄を埋めてください："
                "「____」と言われると、守り手は圧縮空気でサイレンを鳴らします。": (
                    "「霧が出た。」と言われると、守り手は圧縮空気でサイレンを鳴らします。"
                ),
            },
        ),
        (
            CHINESE,
            {
                "请介绍一下灯塔。": "灯塔是给船只指示位置的塔。",
                "请填写《Light》中下面句子的空白：透镜由____块玻璃棱镜组成。": "透镜由172块玻璃棱镜组成。",
                "请填写《Light》中下面句子的空白：守塔人每晚写日志，____。": "守塔人每晚写日志，并且把灯擦干净。",
            },
        ),
    ],
)
def test_text_without_spaces_is_asked_about_in_its_own_language(text: str, asks: dict[str, str]) -> None:
    of = replace(piece(text), passage=replace(piece(text).passage, heading="光"))
    asked = rules.questions(of, 9, seed=0, gaps=True)
    assert {question.question: question.answer for question in asked} == asks
    assert all(ground.problem(question.evidence, text) is None for question in asked)
    shorter = rules.summary(of)
    assert 0 < len(shorter) < len(text)
    assert ground.problem(shorter, text) is None


@pytest.mark.parametrize(
    ("heading", "text", "answer"),
    [
        (
            "3.2. Who lifts the fyke?",
            "3.2. Who lifts\nthe fyke?\n\nThe warden lifts it at dawn. Two otters help.\n\nMore.",
            "The warden lifts it at dawn. Two otters help.",
        ),
        (
            "Wann wird die Reuse gehoben?",
            "Wann wird die Reuse gehoben?\n\nSie wird vor dem Morgen gehoben.",
            "Sie wird vor dem Morgen gehoben.",
        ),
        (
            "ランプは何でできていますか？",
            "ランプは何でできていますか？\n\nランプは真鍮とガラスでできています。",
            "ランプは真鍮とガラスでできています。",
        ),
        ("Who lifts the fyke?", "It goes on here, as passages do.\n\nThe warden lifts it at dawn.", None),
        ("Who lifts the fyke?", "Who lifts the fyke?\n\nOne of these people does:\n\n- the warden", None),
        ("Who lifts the fyke?", f"Who lifts the fyke?\n\n{'The warden lifts it at dawn. ' * 40}", None),
        ("Who lifts it? And when?", "Who lifts it? And when?\n\nThe warden lifts it at dawn.", None),
        ("Where can I get it?", "Where can I get it?\n\nThe warden lends it to all who ask.", None),
        ("What is this document?", "What is this document?\n\nThis is a list that is often read.", None),
        ("Who lifts the fyke?", "Who lifts the fyke?\n\nSee section 3.2 for the details of that.", None),
        ("Why?", "Why?\n\nThe warden lifts it at dawn.", None),
        ("The fyke", "The fyke\n\nThe warden lifts it at dawn.", None),
    ],
)  # fmt: skip
def test_a_heading_that_asks_is_answered_by_what_stands_under_it(heading: str, text: str, answer: str | None) -> None:
    own = Piece("d", "Eels", Passage("d.md", 0, text, f"Eels > {heading}"), file="d.md")
    asked = list(asked_headings.questions(own))
    assert [question.answer for question in asked] == ([] if answer is None else [answer])
    assert all(ground.problem(question.evidence, text) is None for question in asked)
    if answer:
        assert asked[0].question == heading.removeprefix("3.2. ")
        assert asked[0].question in [question.question for question in rules.questions(own, 3, 0)]
