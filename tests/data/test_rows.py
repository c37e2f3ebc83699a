"""Rows to records: every shape, every kind of broken row, and sides that never change."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gemmalocal.data.dataset import Records, held_out_mask
from gemmalocal.errors import DatasetError
from gemmalocal.recipe.data_spec import DataSpec, PromptTemplate
from gemmalocal.records import Message, Record


def write(path: Path, *rows: Any) -> str:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return str(path)


@dataclass
class Read:
    """All that comes of a recipe's data section, before any tokenizer."""

    shape: str
    train: list[Record]
    held_out: list[Record]
    rejected: list[str]
    duplicates: int


def read(spec: DataSpec) -> Read:
    records = Records(spec)
    read_rows = list(records)
    side = records.held_out(np.ones(len(read_rows), np.bool_))
    return Read(
        " and ".join(records.shapes),
        [record for record, held in zip(read_rows, side, strict=True) if not held],
        [record for record, held in zip(read_rows, side, strict=True) if held],
        [source for kind in records.findings.of("left out") for source in kind.sources],
        records.duplicates,
    )


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
    read_rows = read(DataSpec(path=write(tmp_path / "a.jsonl", row), split=0))
    assert read_rows.shape == shape
    assert read_rows.train[0].messages == messages
    # A prompt's bytes are its own.
    assert read_rows.train[0].between == ("\n" if shape in ("chat", "instruction") else "")


def test_templates_take_any_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"q": "why", "n": 4})
    assert read(DataSpec(path=path, split=0, template="{q} is {n}")).train[0].text == "why is 4"
    parts = PromptTemplate(prompt="{q}?", completion=" {n}")
    assert read(DataSpec(path=path, split=0, template=parts)).train[0].messages[1].content == " 4"


def test_broken_rows_never_stop_good_ones(tmp_path: Path) -> None:
    bad: list[Any] = [
        "{oops",
        "[1, 2]",
        {"prompt": "x"},
        {"prompt": "x", "completion": "  "},
        {"prompt": 1.5, "completion": None},
    ]
    path = write(tmp_path / "a.jsonl", {"prompt": "a", "completion": "b"}, *bad, {"prompt": "c", "completion": "d"})
    read_rows = read(DataSpec(path=path, split=0))
    assert len(read_rows.train) == 2
    assert sorted(read_rows.rejected) == [f"a.jsonl:{number}" for number in range(2, 7)]


def test_a_folder_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"n": 2, "data": [{"text": "one"}, {"text": "two"}]}))
    (tmp_path / "b.csv").write_text('text,n\n"three, really",1\nfour\n')
    (tmp_path / "c.tsv").write_text("text\tn\nfive\t1\n")
    (tmp_path / "d.csv").write_text("text;n\nsix;1\n")
    pq.write_table(pa.table({"text": ["seven", None]}), tmp_path / "e.parquet")
    (tmp_path / "f.md").write_text("# eight\n")
    write(tmp_path / "g.jsonl", CHAT)
    (tmp_path / "README.md").write_text("what these rows are")
    read_rows = read(DataSpec(path=str(tmp_path), split=0))
    texts = [record.text for record in read_rows.train]
    assert texts == ["one", "two", "three, really", "five", "six", "seven", "# eight\n", ""]
    assert read_rows.train[-1].messages == PAIR
    assert read_rows.shape == "text and chat"
    assert read_rows.rejected == ["b.csv:3", "e.parquet#2"]


def test_a_folder_may_bring_its_held_out_rows(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", {"text": "one"}, {"text": "two"}, {"text": "TWO "})
    write(tmp_path / "valid.jsonl", {"text": "two"}, {"text": "three"})
    read_rows = read(DataSpec(path=str(tmp_path)))
    assert [record.text for record in read_rows.train] == ["one", "TWO "]
    assert [record.text for record in read_rows.held_out] == ["two", "three"]
    assert read_rows.duplicates == 1


def keys(*texts: str) -> Any:
    return np.array([Record("", text=text).key for text in texts], np.uint64)


def side(texts: list[str], share: float = 0.1) -> set[str]:
    return {text for text, held_out in zip(texts, held_out_mask(keys(*texts), share), strict=True) if held_out}


def test_a_row_stays_on_its_side_when_others_join() -> None:
    old = [f"row {number}" for number in range(400)]
    more = [*(f"new {number}" for number in range(100)), *old]
    random.Random(0).shuffle(more)
    assert side(old) == {text for text in side(more) if text.startswith("row")}


@pytest.mark.parametrize("number", [5, 12, 40, 100, 300])
def test_of_few_rows_the_share_is_met_within_a_fifth(number: int) -> None:
    moved = 0
    for name in range(60):
        texts = [f"{name} {row}" for row in range(number)]
        for share in (0.05, 0.1, 0.3, 0.5):
            wanted = share * number
            assert abs(len(side(texts, share)) - wanted) <= max(0.2 * wanted, 0.5 if wanted > 0.5 else 1)
        moved += len(side(texts) ^ (side([*texts, f"{name} new"]) - {f"{name} new"}))
    assert moved <= 30  # a row moves in at most every other of the cases
    twice = [text.upper() if row % 2 else text for row, text in enumerate(f"row {row // 2}" for row in range(number))]
    assert {text.lower() for text in side(twice)} & {text.lower() for text in set(twice) - side(twice)} == set()


def test_a_side_is_never_empty_where_two_rows_are_there() -> None:
    for number in range(40):
        assert held_out_mask(keys(f"a{number}", f"b{number}"), 0.01).sum() == 1
        assert held_out_mask(keys(f"a{number}", f"b{number}"), 0.5).sum() == 1
        assert not held_out_mask(keys(f"a{number}"), 0.5).any()
    assert not held_out_mask(keys("a", "b"), 0).any()
    assert not held_out_mask(keys(), 0.1).any()


def test_what_cannot_become_an_example_is_not_the_one_held_out(tmp_path: Path) -> None:
    records = Records(DataSpec(path=write(tmp_path / "a.jsonl", *({"text": f"{n}"} for n in range(9))), split=1e-6))
    assert len(list(records)) == 9
    first = records.held_out(np.ones(9, np.bool_))
    assert first.sum() == 1
    second = records.held_out(~first)
    assert second.sum() == 1
    assert not (first & second).any()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.jsonl", None, "no such file"),
        ("empty.jsonl", "", "no row"),
        ("odd.jsonl", '{"a": 1}', "no known shape"),
        ("bad.json", "{\n  1", r"bad\.json:2 is not JSON"),
        ("x.docx", "x", "not of a kind"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, name: str, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError, match=says):
        read(DataSpec(path=str(tmp_path / name)))


def test_missing_package_is_said() -> None:
    with pytest.raises(DatasetError, match="not installed"):
        read(DataSpec(path="package:no_such_package_here/x.json"))


def test_hub_datasets_come_through_the_datasets_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    (tmp_path / "set").mkdir()
    write(tmp_path / "set" / "train.jsonl", {"quote": "a", "author": "b"}, {"quote": "c", "author": "d"})
    write(tmp_path / "set" / "test.jsonl", {"quote": "e", "author": "f"})
    spec = DataSpec(path=f"hf:{tmp_path / 'set'}", split=0, template="{quote} - {author}")
    assert [record.text for record in read(spec).train] == ["a - b", "c - d"]
    spec = DataSpec(path=f"hf:{tmp_path / 'set'}:test", split=0, template="{quote}")
    assert [record.text for record in read(spec).train] == ["e"]
    with pytest.raises(DatasetError, match="cannot be downloaded"):
        read(DataSpec(path="hf:nobody/nothing-of-that-name"))
