"""Rows that judge answers, as people and the Hub write them: detected, read, and odd ones told in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemmalocal.data.dataset import Records
from gemmalocal.errors import DatasetError
from gemmalocal.recipe.data_spec import DataSpec
from gemmalocal.records import Message, Record, RowKind
from tests.data.test_rows import write

ASK, GOOD, BAD = Message("user", "why?"), Message("assistant", "because"), Message("assistant", "no")
SYSTEM = Message("system", "be kind")
PAIR = Record("", (ASK, GOOD), prompt_turns=1, rejected=(BAD,))
MORE = Message("user", "and then?")


def turn(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}


def said(*messages: Message) -> list[dict[str, str]]:
    return [turn(message) for message in messages]


def read(path: Path, *rows: dict[str, Any], use: RowKind | None = None, **data: Any) -> tuple[list[Record], Records]:
    records = Records(DataSpec(path=write(path / "a.jsonl", *rows), split=0, **data), use=use)
    return list(records), records


HH = "\n\nHuman: why?\n\nAssistant: {}"
COMPARED: list[tuple[dict[str, Any], Record]] = [
    ({"prompt": "why?", "chosen": "because", "rejected": "no"}, PAIR),
    ({"question": "why?", "chosen": "because", "rejected": "no"}, PAIR),
    ({"question": "why?", "response_j": "because", "response_k": "no"}, PAIR),
    ({"instruction": "why?", "input": "", "accepted": "because", "rejected": "no"}, PAIR),
    ({"prompt": said(ASK), "chosen": said(GOOD), "rejected": said(BAD)}, PAIR),
    ({"prompt": "why?", "chosen": said(GOOD), "rejected": said(BAD)}, PAIR),
    ({"prompt": "why?", "chosen": said(ASK, GOOD), "rejected": said(ASK, BAD)}, PAIR),
    ({"chosen": said(ASK, GOOD), "rejected": said(ASK, BAD)}, PAIR),
    ({"chosen": HH.format("because"), "rejected": HH.format("no")}, PAIR),
    ({"prompt": HH.format(""), "chosen": "because", "rejected": "no"}, PAIR),
    ({"prompt": "why?", "chosen": turn(GOOD), "rejected": turn(BAD)}, PAIR),
    ({"conversations": said(ASK), "chosen": turn(GOOD), "rejected": turn(BAD)}, PAIR),
    (
        {"input": {"messages": said(ASK)}, "preferred_output": said(GOOD), "non_preferred_output": said(BAD)},
        PAIR,
    ),
    (
        {"system": "be kind", "question": "why?", "chosen": "because", "rejected": "no"},  # Orca's pairs
        Record("", (SYSTEM, ASK, GOOD), prompt_turns=2, rejected=(BAD,)),
    ),
    (
        {"chosen": said(ASK, BAD, MORE, GOOD), "rejected": said(ASK, BAD, MORE, BAD)},
        Record("", (ASK, BAD, MORE, GOOD), prompt_turns=3, rejected=(BAD,)),
    ),
    (
        {"chosen": said(ASK, GOOD, MORE, GOOD), "rejected": said(ASK, BAD)},  # they part early
        Record("", (ASK, GOOD, MORE, GOOD), prompt_turns=1, rejected=(BAD,)),
    ),
    (
        {"prompt": said(ASK), "chosen": said(BAD, MORE, GOOD), "rejected": said(BAD, MORE, BAD)},  # as it is said
        Record("", (ASK, BAD, MORE, GOOD), prompt_turns=1, rejected=(BAD, MORE, BAD)),
    ),
    (
        {"chosen": "Q: why? A: because", "rejected": "Q: why? A: no"},  # a text without speakers that we know
        Record("", (Message("user", "Q: why? A:"), Message("assistant", " because")), prompt_turns=1,
               rejected=(Message("assistant", " no"),)),
    ),
    (
        {"chosen": "it is a cat", "rejected": "it is a car"},  # never within a word
        Record("", (Message("user", "it is a"), Message("assistant", " cat")), prompt_turns=1,
               rejected=(Message("assistant", " car"),)),
    ),
    (  # UltraFeedback's
        {
            "prompt": "why?",
            "prompt_id": "7",
            "chosen": said(ASK, GOOD),
            "rejected": said(ASK, BAD),
            "messages": said(ASK, GOOD),
            "score_chosen": 8.5,
            "score_rejected": 2.0,
        },
        PAIR,
    ),
    ({"messages": said(ASK, GOOD), "rejected_response": "no"}, PAIR),  # ms-swift's
    ({"prompt": "why?", "response_0": "no", "response_1": "because", "better_response_id": 1}, PAIR),  # PKU's
    ({"prompt": "why?", "response_0": "because", "response_1": "no", "better_response_id": 0}, PAIR),
    ({"history": "why?", "human_ref_A": "because", "human_ref_B": "no", "labels": 1}, PAIR),  # SHP's
    ({"conversation_a": said(ASK, BAD), "conversation_b": said(ASK, GOOD), "winner": "model_b"}, PAIR),  # the arena's
    ({"instruction": "why?", "input": "", "output_1": "no", "output_2": "because", "preference": 2}, PAIR),
    ({"prompt": "why?", "chosen": json.dumps(said(GOOD)), "rejected": json.dumps(said(BAD))}, PAIR),
    (
        {"prompt": "why?", "chosen": "[a list] of", "rejected": "[1, 2]"},
        Record("", (ASK, Message("assistant", "[a list] of")), prompt_turns=1,
               rejected=(Message("assistant", "[1, 2]"),)),
    ),
    (
        {"system": "be kind", "chosen": said(ASK, GOOD), "rejected": said(ASK, BAD)},
        Record("", (SYSTEM, ASK, GOOD), prompt_turns=2, rejected=(BAD,)),
    ),
    (
        {"prompt": said(SYSTEM), "chosen": said(ASK, GOOD), "rejected": said(ASK, BAD)},
        Record("", (SYSTEM, ASK, GOOD), prompt_turns=2, rejected=(BAD,)),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("row", "record"), COMPARED)
def test_two_answers_are_read(tmp_path: Path, row: dict[str, Any], record: Record) -> None:
    (found,), records = read(tmp_path, row)
    assert records.shapes == ["preference"]
    assert (found.messages, found.prompt_turns, found.rejected) == (
        record.messages,
        record.prompt_turns,
        record.rejected,
    )
    assert found.kind == "pairs"
    unused = [note for note in records.notes() if note.startswith("columns not used")]
    assert unused == (["columns not used: prompt_id (1)"] if "prompt_id" in row else [])


ODD: list[tuple[dict[str, Any], str]] = [
    ({"prompt": "why?", "chosen": "no", "rejected": "no "}, "has a chosen and a rejected answer that are equal"),
    ({"chosen": said(ASK, BAD), "rejected": said(ASK, BAD)}, "has a chosen and a rejected answer that are equal"),
    ({"chosen": "a text", "rejected": "a text"}, "has a chosen and a rejected answer that are equal"),
    ({"prompt": "why?", "chosen": "because", "rejected": " "}, "has nothing in 'rejected'"),
    ({"prompt": "why?", "chosen": None, "rejected": "no"}, "has no text in 'chosen': it is null"),
    ({"chosen": "because", "rejected": "no"}, "has no common prompt"),
    ({"chosen": said(ASK, GOOD), "rejected": said(MORE, BAD)}, "has no common prompt"),
    ({"chosen": said(ASK, BAD, ASK, GOOD), "rejected": said(ASK, BAD, MORE, GOOD)}, "to different questions"),
    ({"chosen": said(ASK, GOOD, MORE, GOOD), "rejected": said(ASK, GOOD)}, "has nothing in 'rejected' after"),
    ({"chosen": said(ASK, GOOD, MORE), "rejected": said(ASK, BAD)}, "has no answer in 'chosen'"),
    ({"chosen": HH.format("because"), "rejected": HH.format("")}, "has no answer in 'rejected'"),
    ({"chosen": "Human: \n\nAssistant: a", "rejected": "Human: \n\nAssistant: b"}, "has an empty message in 'chosen'"),
    ({"prompt": "why?", "chosen": 1.5, "rejected": [{"x": 1}]}, "has a part that is not text in 'rejected'"),
    (
        {"prompt": "why?", "response_a": "a", "response_b": "b", "winner": "tie"},
        "no better answer: 'winner' says 'tie'",
    ),
    ({"prompt": "why?", "chosen": [{"role": "system", "content": ""}], "rejected": "no"}, "has nothing in 'chosen'"),
    ({"prompt": "", "chosen": "because", "rejected": "no"}, "has nothing in 'prompt'"),
    ({"prompt": "why?", "completion": "no", "label": True, "image": "a.png"}, "has images"),
]


@pytest.mark.parametrize(("row", "reason"), ODD)
def test_an_odd_row_is_left_out_with_a_sentence(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    with pytest.raises(DatasetError, match="no row that can be trained on") as caught:
        read(tmp_path, row)
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ({"prompt": "why?", "completion": "because", "label": True}, True),
        ({"prompt": said(ASK), "completion": said(GOOD), "label": False}, False),
        ({"question": "why?", "answer": "because", "thumb": "👎"}, False),
        ({"instruction": "why?", "output": "because", "feedback": "thumbs up"}, True),
        ({"messages": said(ASK, GOOD), "liked": "no"}, False),
        ({"messages": said(ASK, GOOD, MORE), "kto_tag": False}, False),
        ({"Prompt": "why?", "Completion": "because", "Label": "True"}, True),
    ],
)
def test_an_answer_with_a_thumb_is_rated(tmp_path: Path, row: dict[str, Any], label: bool) -> None:
    (found,), records = read(tmp_path, row)
    assert records.shapes == ["rated"]
    assert (found.messages, found.prompt_turns, found.label, found.kind) == ((ASK, GOOD), 1, label, "rated")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "why?", "completion": "because", "label": 1},  # a class as well as a thumb
        {"prompt": "why?", "completion": "because", "label": "cats"},
        {"prompt": "why?", "completion": "because", "label": "yes"},
        {"question": "why?", "answer": "because", "label": True},
        {"question": "why?", "answer": "because", "rating": 4},
    ],
)
def test_a_label_may_be_something_else(tmp_path: Path, row: dict[str, Any]) -> None:
    assert read(tmp_path, row)[1].shapes == ["prompt"]
    assert read(tmp_path, {"text": "x", "label": True})[1].shapes == ["text"]


def test_numbers_are_labels_where_labels_are_asked_for(tmp_path: Path) -> None:
    assert read(tmp_path, {"question": "why?", "answer": "because", "label": "no"}, use="rated")[0][0].label is False
    row = {"prompt": "why?", "completion": "because", "label": 1}
    worse = {"prompt": "why?", "completion": "no", "label": 0}
    for asked in ({"use": "rated"}, {"shape": "rated"}):
        found, records = read(tmp_path, row, worse, {**row, "label": 7}, **asked)  # type: ignore[arg-type]
        assert [record.label for record in found] == [True, False]
        assert "has no label, good or bad, in 'label'" in records.findings.notices()[0]


def test_what_rows_are_for_decides_what_they_are(tmp_path: Path) -> None:
    pair, good = {"prompt": "why?", "chosen": "because", "rejected": "no"}, {"prompt": "a", "completion": "b"}
    rows = pair, {**good, "label": True}, {**good, "completion": "c", "label": False}, good
    pairs, records = read(tmp_path, *rows, use="pairs")
    assert [record.kind for record in pairs] == ["pairs"]
    assert records.findings.notices() == ["3 rows left out: a.jsonl:2 compares no two answers"]
    rated, records = read(tmp_path, *rows, use="rated")
    assert [(record.reply, record.label) for record in rated] == [
        ("because", True), ("no", False), ("b", True), ("c", False)
    ]  # fmt: skip
    assert "has no label" in records.findings.notices()[0]
    imitated, records = read(tmp_path, *rows)
    assert [record.kind for record in imitated] == ["pairs", "rated", "rated", ""]
    imitated, records = read(tmp_path, *rows, use="")
    assert [(record.reply, record.kind) for record in imitated] == [("because", ""), ("b", "")]
    assert records.duplicates == 1  # the last row says what the second said
    assert records.notes()[1:3] == [
        "1 row compares two answers: only the chosen ones are trained on, to be imitated",
        "2 rows rate an answer: only the 1 good ones are trained on, to be imitated",
    ]


@pytest.mark.parametrize("use", ["pairs", "rated"])
def test_rows_without_a_judgement_are_refused_with_a_remedy(tmp_path: Path, use: RowKind) -> None:
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, {"prompt": "why?", "completion": "because"}, use=use)
    assert "rejected" in caught.value.hint or "label" in caught.value.hint
    assert "objective.kind" in caught.value.hint


@pytest.mark.parametrize("use", ["pairs", "rated", ""])
def test_no_prompt_stands_on_both_sides(tmp_path: Path, use: RowKind) -> None:
    rows = [
        {"prompt": f"why {number // 3}?", "chosen": f"yes {number}", "rejected": f"no {number}"} for number in range(60)
    ]
    spec = DataSpec(path=write(tmp_path / "a.jsonl", *rows), split=0.3)
    records = Records(spec, use=use)
    found = list(records)
    held_out = records.held_out(np.ones(len(found), np.bool_))
    sides = [{record.prompt[0].content for record, is_out in zip(found, held_out, strict=True) if is_out == side}
             for side in (True, False)]  # fmt: skip
    assert sides[0]
    assert not sides[0] & sides[1]
    assert not any("nearly repeats" in kind.kind for kind in records.findings.of("odd"))


def test_a_prompt_that_is_brought_as_held_out_is_not_trained_on(tmp_path: Path) -> None:
    row = {"prompt": "why?", "chosen": "because", "rejected": "no"}
    other = {**row, "prompt": "when?"}
    (tmp_path / "valid.jsonl").write_text(json.dumps(row))
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, ({**row, "chosen": "so"}, other))))
    records = Records(DataSpec(path=str(tmp_path)), use="pairs")
    assert [record.prompt[0].content for record in records] == ["why?", "when?"]
    assert (records.leaks, records.duplicates) == (1, 1)


def test_all_of_a_row_decides_whether_it_is_the_same(tmp_path: Path) -> None:
    row = {"prompt": "why?", "chosen": "because", "rejected": "no"}
    rows = row, row, {**row, "rejected": "never"}, {**row, "chosen": "no", "rejected": "because"}
    found, records = read(tmp_path, *rows, {**row, "chosen": "Because"}, use="pairs")
    assert (len(found), records.duplicates) == (4, 1)
    (near,) = records.findings.of("odd")
    assert (near.count, near.sources) == (1, ["a.jsonl:5"])


def test_scores_that_contradict_the_choice_are_told(tmp_path: Path) -> None:
    row = {"prompt": "why?", "chosen": "because", "rejected": "no", "score_chosen": 2, "score_rejected": 3.5}
    _, records = read(tmp_path, row, {**row, "prompt": "when?", "score_chosen": 7})
    (odd,) = records.findings.of("odd")
    assert (odd.kind, odd.count) == ("has a chosen answer whose score is not above that of the rejected one", 1)


def test_what_is_rated_is_the_last_answer_or_the_whole_completion(tmp_path: Path) -> None:
    chat = {"messages": said(ASK, BAD, MORE, GOOD), "label": True}
    parts = {"prompt": said(ASK), "completion": said(BAD, MORE, GOOD), "label": False}
    found, _ = read(tmp_path, chat, parts)
    assert [record.prompt_turns for record in found] == [3, 1]
    assert [record.answers for record in found] == [(found[0],), (found[1],)]
