"""Odd rows: the record that is made of each, or the sentence that says why not, or what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.data.dataset import Records
from gemmalocal.errors import DatasetError
from gemmalocal.recipe.data_spec import DataSpec
from gemmalocal.records import Record

ASK, SAY = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}
PAIR = "user: hi|assistant: yo"
SYSTEM = f"system: be kind|{PAIR}"
IMAGE = {"type": "image_url", "image_url": {"url": "a.png"}}


def talk(*turns: Any, **more: Any) -> dict[str, Any]:
    return {"messages": list(turns), **more}


MADE: list[tuple[dict[str, Any], str]] = [  # a row, and its messages (those that are not learned in parentheses)
    # what columns are called
    ({"query": "hi", "response": "yo"}, PAIR),
    ({"input": "hi", "output": "yo"}, PAIR),
    ({"question": "hi", "response": "yo"}, PAIR),
    ({"prompt": "hi", "answer": "yo"}, PAIR),
    ({"problem": "hi", "solution": "yo"}, PAIR),
    ({"inputs": "hi", "targets": "yo"}, PAIR),
    ({"Question": "hi", "Answer ": "yo"}, PAIR),
    ({"instruction": "hi", "completion": "yo"}, PAIR),
    ({"instruction": "a", "context": "b", "response": "yo"}, "user: a\n\nb|assistant: yo"),
    ({"prompt": "hi", "completion": "yo", "messages": None}, PAIR),
    ({"prompt": None, "completion": None, "text": "plain"}, "plain"),
    # what stands in them
    ({"instruction": "a", "input": 21, "output": "yo"}, "user: a\n\n21|assistant: yo"),
    ({"instruction": "a", "input": 0, "output": False}, "user: a\n\n0|assistant: false"),
    ({"instruction": "hi", "input": None, "output": "yo"}, PAIR),
    ({"instruction": "hi", "input": float("nan"), "output": "yo"}, PAIR),
    ({"instruction": "hi", "input": [], "output": "yo"}, PAIR),
    ({"question": "q", "answer": True}, "user: q|assistant: true"),
    ({"question": "q", "answer": 2**63}, f"user: q|assistant: {2**63}"),
    ({"text": 4.5}, "4.5"),
    # a system message
    (
        {"system": "be kind", "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yo"}]},
        SYSTEM,
    ),
    (talk(ASK, SAY, system="be kind"), SYSTEM),
    (talk(ASK, SAY, system=None), PAIR),
    (talk(ASK, SAY, system=" "), PAIR),
    ({"system": "be kind", "instruction": "hi", "output": "yo"}, SYSTEM),
    ({"system_prompt": "be kind", "question": "hi", "response": "yo"}, SYSTEM),
    (talk({"role": "system", "content": ""}, ASK, SAY), PAIR),
    (talk({"role": "system", "content": None}, ASK, SAY), PAIR),
    (talk({"role": "system"}, ASK, SAY, system="be kind"), SYSTEM),
    (talk({"role": "developer", "content": "be kind"}, ASK, SAY), SYSTEM),
    # how turns are written
    (talk({"role": "User", "content": "hi"}, {"role": "Assistant", "content": "yo"}), PAIR),
    (talk({"role": "human", "value": "hi"}, {"role": "ai", "text": "yo"}), PAIR),
    (talk({"role": "user", "content": [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]}, SAY), PAIR),
    (talk({"role": "user", "content": ["hi"]}, {"role": "assistant", "content": [{"text": "yo"}]}), PAIR),
    ({"messages": json.dumps([ASK, SAY])}, PAIR),
    ({"conversation": [ASK, SAY]}, PAIR),
    ({"messages": {"role": ["user", "assistant"], "content": ["hi", "yo"]}}, PAIR),
    (
        {
            "systemInstruction": {"role": "system", "parts": [{"text": "be kind"}]},
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "yo"}]}],
        },
        SYSTEM,
    ),
    ({"prompt": [ASK], "completion": [SAY]}, PAIR),
    ({"prompt": [ASK], "completion": "yo"}, PAIR),
    ({"prompt": "hi", "completion": [SAY]}, PAIR),
    ({"prompt": [ASK, SAY, ASK], "completion": [SAY]}, "user: hi|(assistant: yo)|user: hi|assistant: yo"),
    ({"prompt": [{"role": "system", "content": "be kind"}, ASK], "completion": [SAY]}, SYSTEM),
    (talk({"role": "user", "content": 7}, SAY), "user: 7|assistant: yo"),
    # weights
    (talk(ASK, {**SAY, "weight": 0}, ASK, {**SAY, "weight": 1}), "user: hi|(assistant: yo)|user: hi|assistant: yo"),
    (talk(ASK, {**SAY, "train": False}, ASK, SAY), "user: hi|(assistant: yo)|user: hi|assistant: yo"),
    (talk(ASK, {**SAY, "loss": "0"}, ASK, {**SAY, "loss": None}), "user: hi|(assistant: yo)|user: hi|assistant: yo"),
    (talk(ASK, SAY, weight=1, train=True), PAIR),
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    (talk(ASK, SAY, weight=0), "has a weight of 0, so that nothing of it is trained on"),
    (talk(ASK, {**SAY, "weight": 0}), "has a weight of 0"),
    ({"text": "plain", "train": False}, "has a weight of 0"),
    ({"prompt": "hi", "completion": "yo", "loss": 0}, "has a weight of 0"),
    (talk(ASK, ASK, SAY), "has two user messages in a row (data.merge_turns makes one of them)"),
    (talk({"role": "user", "content": [{"type": "text", "text": "hi"}, IMAGE]}, SAY), "has images, and only text"),
    (talk({"role": "user", "content": [{"type": "image"}]}, SAY), "has images, and only text"),
    (talk(ASK, SAY, images=["a.png"]), "has images, and only text"),
    ({"image": {"bytes": b"", "path": "a.png"}, "question": "q", "answer": "a"}, "has images, and only text"),
    (talk({"role": "user", "content": [{"type": "input_audio"}]}, SAY), "has sound, and only text"),
    (talk({"role": "user", "content": [{"type": "tool_use"}]}, SAY), "it is of the type 'tool_use'"),
    (talk(ASK, {"role": "assistant", "content": None, "tool_calls": []}), "no text in 'content': it is null"),
    (talk(ASK, {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]}), "has a call without a name"),
    (talk(ASK, {"role": "tool", "content": "x"}, SAY), "has a tool's answer to a user's message"),
    ({"messages": "[oops"}, "has messages as text"),
    ({"text": float("nan")}, "has no text in 'text': it is null"),
    ({"prompt": "q", "completion": {"a": 1}}, "has no text in 'completion': it is an object"),
    ({"prompt": "q", "chosen": "a"}, "has columns of no known shape"),
]
SAID: list[tuple[dict[str, Any], str]] = [
    (talk(ASK, {**SAY, "tool_call_id": "1"}), "columns not used: messages.tool_call_id (1)"),
    (talk(ASK, {**SAY, "name": "Bob", "tool_calls": []}), "columns not used: messages.name (1)"),
    ({"text": "x", "id": 7, "url": None, "note": ""}, "columns not used: id (1)"),
    ({"text": "x", "system": "be kind"}, "columns not used: system (1)"),
    (talk({"role": "system", "content": "a"}, ASK, SAY, system="b"), "columns not used: system (1)"),
    (talk(ASK, {**SAY, "weight": 1.5}), "has a weight above 1, and is trained on as if it were 1"),
    ({"text": "x", "weight": 2.5}, "has a weight above 1"),
    (talk(ASK, SAY, ASK), "ends with a message that nothing answers"),
    ({"text": "x", "images": []}, ""),
    ({"text": "x", "__index_level_0__": 5}, ""),
]


def shown(record: Record) -> str:
    turns = (
        f"{turn.role}: {turn.content}" if turn.learned else f"({turn.role}: {turn.content})" for turn in record.messages
    )
    return record.text or "|".join(turns)


def read(folder: Path, *rows: dict[str, Any], **data: Any) -> tuple[list[str], Records]:
    import pyarrow.parquet

    if any(isinstance(value, dict) and "bytes" in value for row in rows for value in row.values()):
        file = folder / "rows.parquet"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), file)
    else:
        file = folder / "rows.jsonl"
        file.write_text("\n".join(map(json.dumps, rows)))
    records = Records(DataSpec(path=str(file), **data))
    return [shown(record) for record in records], records


@pytest.mark.parametrize(("row", "expected"), MADE, ids=[str(row)[:60] for row, _ in MADE])
def test_a_row_is_read(tmp_path: Path, row: dict[str, Any], expected: str) -> None:
    rendered, records = read(tmp_path, row)
    assert rendered == [expected]
    assert records.notes() == []


@pytest.mark.parametrize(("row", "says"), REFUSED, ids=[str(row)[:60] for row, _ in REFUSED])
def test_a_row_is_left_out_with_its_reason(tmp_path: Path, row: dict[str, Any], says: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, row)
    assert says in caught.value.message


@pytest.mark.parametrize(("row", "says"), SAID, ids=[str(row)[:60] for row, _ in SAID])
def test_something_is_said_of_a_row(tmp_path: Path, row: dict[str, Any], says: str) -> None:
    rendered, records = read(tmp_path, row)
    assert len(rendered) == 1
    assert [says in note for note in records.notes()] == [True] * bool(says)


def test_turns_of_one_role_are_merged_on_request(tmp_path: Path) -> None:
    rendered, _ = read(tmp_path, talk(ASK, ASK, SAY, SAY), merge_turns=True)
    assert rendered == ["user: hi\n\nhi|assistant: yo\n\nyo"]
    with pytest.raises(DatasetError, match="of different weights"):
        read(tmp_path, talk(ASK, {**SAY, "weight": 0}, SAY), merge_turns=True)


def test_one_row_does_not_decide_for_the_next(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"instruction": "a", "input": "", "output": "x"},
        {"instruction": "a", "input": "b", "output": "x"},
        {"instruction": "a", "input": None, "context": "c", "output": "x"},
        {"instruction": "d", "output": "x"},
        {"messages": None, "instruction": "e", "output": "x", "weight": None},
    ]
    rendered, records = read(tmp_path, *rows)
    assert [turns.split("|")[0] for turns in rendered] == [f"user: {q}" for q in ("a", "a\n\nb", "a\n\nc", "d", "e")]
    assert records.notes() == []
    rendered, records = read(tmp_path, {"q": "a", "x": None}, {"q": "b"}, {"q": "c", "x": 1}, template="{q}")
    assert rendered == ["a", "b", "c"]
    assert records.notes() == ["columns not used: x (1)"]


def test_many_sorts_of_rows_are_counted_too(tmp_path: Path) -> None:
    _, records = read(tmp_path, *({"text": f"{n}", f"c{n}": n, "id": 1} for n in range(200)))
    (note,) = records.notes()
    assert note.startswith("columns not used: id (200), c0 (1), c1 (1)")
    assert note.endswith("and 189 more")


def test_shapes_may_be_mixed_in_a_file(tmp_path: Path) -> None:
    rendered, records = read(tmp_path, {"text": "a"}, talk(ASK, SAY), {"prompt": "hi", "completion": "yo!"})
    assert rendered == ["a", PAIR, f"{PAIR}!"]
    assert records.shapes == ["text", "chat", "prompt"]


DIFFERENT = [
    *("PARIS", "Paris", "if a:\n  b()", "if a:\n    b()", "x²", "x2", "ＡＢＣ", "ABC", "a b", "a  b"),
]


def test_different_rows_are_no_duplicates(tmp_path: Path) -> None:
    rows = [{"prompt": "Say it", "completion": text} for text in DIFFERENT]
    rendered, records = read(tmp_path, *rows)
    assert len(rendered) == len(DIFFERENT)
    assert records.duplicates == 0
    (near,) = records.notes()
    assert near.startswith("5 rows trained on that may be a mistake: rows.jsonl:2 nearly repeats an earlier row")


@pytest.mark.parametrize(("duplicates", "kept"), [("drop", 1), ("keep", 3)])
def test_equal_rows_are_dropped_or_kept(tmp_path: Path, duplicates: str, kept: int) -> None:
    rendered, records = read(tmp_path, {"text": "a"}, {"text": "a\n"}, {"text": "a"}, duplicates=duplicates)
    assert len(rendered) == kept
    assert records.duplicates == 3 - kept
    masked = [talk(ASK, {**SAY, "weight": 0}, ASK, SAY), talk(ASK, SAY, ASK, SAY)]
    assert len(read(tmp_path, *masked)[0]) == 2


def test_each_unused_column_is_named_once_with_its_count(tmp_path: Path) -> None:
    _, records = read(tmp_path, *({"text": f"{n}", "id": n, "tags": ["x"] * (n % 2)} for n in range(9)))
    assert records.notes() == ["columns not used: id (9), tags (4)"]
    _, records = read(tmp_path, *({"q": f"{n}", "weight": n, "id": n} for n in range(9)), template="{q}")
    assert records.notes() == ["columns not used: weight (9), id (9)"]
