"""Rows to records: every shape, every kind of broken row, and sides that never change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.data import dataset
from gemmalocal.errors import DatasetError
from gemmalocal.recipe import DataSpec, PromptTemplate
from gemmalocal.records import Message, Record


def write(path: Path, *rows: Any) -> str:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return str(path)


CHAT = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]}
SHAREGPT = {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yo"}]}
PAIR = (Message("user", "hi"), Message("assistant", "yo"))


@pytest.mark.parametrize(
    ("row", "shape", "messages"),
    [
        (CHAT, "chat", PAIR),
        (SHAREGPT, "chat", PAIR),
        ({"prompt": "hi", "completion": "yo"}, "prompt", PAIR),
        ({"question": "hi", "answer": "yo"}, "prompt", PAIR),
        ({"instruction": "hi", "input": "", "output": "yo"}, "instruction", PAIR),
        ({"instruction": "a", "input": "b", "output": "yo"}, "instruction", (Message("user", "a\n\nb"), PAIR[1])),
        ({"text": "hello"}, "text", ()),
    ],
)
def test_shapes_are_detected(tmp_path: Path, row: dict[str, Any], shape: str, messages: tuple[Message, ...]) -> None:
    found = dataset.read(DataSpec(path=write(tmp_path / "a.jsonl", row), split=0))
    assert found.shape == shape
    assert found.train[0].messages == messages


def test_templates_take_any_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"q": "why", "n": 4})
    assert dataset.read(DataSpec(path=path, split=0, template="{q} is {n}")).train[0].text == "why is 4"
    parts = PromptTemplate(prompt="{q}?", completion=" {n}")
    assert dataset.read(DataSpec(path=path, split=0, template=parts)).train[0].messages[1].content == " 4"


def test_broken_rows_never_stop_good_ones(tmp_path: Path) -> None:
    bad: list[Any] = [
        "{oops",
        "[1, 2]",
        {"prompt": "x"},
        {"prompt": "x", "completion": "  "},
        {"prompt": 1.5, "completion": None},
    ]
    path = write(tmp_path / "a.jsonl", {"prompt": "a", "completion": "b"}, *bad, {"prompt": "c", "completion": "d"})
    found = dataset.read(DataSpec(path=path, split=0))
    assert len(found.train) == 2
    assert [item.source for item in found.rejected] == [f"a.jsonl:{number}" for number in range(2, 7)]
    assert all(item.reason for item in found.rejected)


def test_json_csv_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"data": [{"text": "one"}, {"text": "two"}]}))
    (tmp_path / "b.csv").write_text('text,n\n"three, really",1\nfour\n')
    found = dataset.read(DataSpec(path=str(tmp_path), split=0))
    assert [record.text for record in found.train] == ["one", "two", "three, really"]
    assert found.rejected[0].source == "b.csv:3"


def test_a_folder_may_bring_its_held_out_rows(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", {"text": "one"}, {"text": "two"}, {"text": "TWO "})
    write(tmp_path / "valid.jsonl", {"text": "two"}, {"text": "three"})
    found = dataset.read(DataSpec(path=str(tmp_path)))
    assert [record.text for record in found.train] == ["one"]
    assert [record.text for record in found.held_out] == ["two", "three"]
    assert found.duplicates == 2


def test_a_row_never_changes_sides() -> None:
    records = [Record(str(number), text=f"row {number}") for number in range(400)]
    _, held_out = dataset.split(records, 0.1)
    more = [Record(f"new{number}", text=f"new {number}") for number in range(100)] + records[::-1]
    train, again = dataset.split(more, 0.1)
    assert 20 < len(held_out) < 60
    assert {record.text for record in held_out} == {record.text for record in again if record.text.startswith("row")}
    assert not {record.key for record in train} & {record.key for record in again}


def test_a_small_set_still_holds_one_out() -> None:
    train, held_out = dataset.split([Record("a", text="x"), Record("b", text="y")], 0.01)
    assert (len(train), len(held_out)) == (1, 1)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.jsonl", None, "no such file"),
        ("empty.jsonl", "", "no row"),
        ("odd.jsonl", '{"a": 1}', "no known shape"),
        ("bad.json", "{\n  1", r"bad\.json:2"),
        ("x.docx", "x", "not of a kind"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, name: str, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError, match=says):
        dataset.read(DataSpec(path=str(tmp_path / name)))


def test_not_utf8_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "caf\xe9"}')
    with pytest.raises(DatasetError, match="not UTF-8"):
        dataset.read(DataSpec(path=str(tmp_path / "a.jsonl")))


def test_missing_package_is_said() -> None:
    with pytest.raises(DatasetError, match="not installed"):
        dataset.read(DataSpec(path="package:no_such_package_here/x.json"))


def test_hub_datasets_come_through_the_datasets_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    (tmp_path / "set").mkdir()
    write(tmp_path / "set" / "train.jsonl", {"quote": "a", "author": "b"}, {"quote": "c", "author": "d"})
    write(tmp_path / "set" / "test.jsonl", {"quote": "e", "author": "f"})
    spec = DataSpec(path=f"hf:{tmp_path / 'set'}", split=0, template="{quote} - {author}")
    assert [record.text for record in dataset.read(spec).train] == ["a - b", "c - d"]
    spec = DataSpec(path=f"hf:{tmp_path / 'set'}:test", split=0, template="{quote}")
    assert [record.text for record in dataset.read(spec).train] == ["e"]
    with pytest.raises(DatasetError, match="cannot be had"):
        dataset.read(DataSpec(path="hf:nobody/nothing-of-that-name"))
