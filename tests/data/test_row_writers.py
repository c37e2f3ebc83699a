"""Datasets in other programs' forms, read back by ourselves and by the Hub's library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.data.dataset import Records
from gemmalocal.recipe.data_spec import DataSpec
from tests.here import run

ROWS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "Thät."}], "source": "a"},
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Who?"},
            {"role": "assistant", "content": "She."},
        ]
    },
    {
        "messages": [
            {"role": role, "content": f"{role} {n}"} for n in range(2) for role in ("user", "assistant")
        ]
    },
]  # fmt: skip


@pytest.fixture
def dataset(workspace: Path) -> Path:
    folder = workspace / "datasets" / "mine"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "held_out.jsonl").write_text(json.dumps({"messages": ROWS[0]["messages"]}).replace("What", "When") + "\n")
    (folder / "rejected.jsonl").write_text('{"text": "never"}\n')
    return folder


def test_a_dataset_goes_before_a_folder_that_is_called_so_too(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "papers" / "mine").mkdir(parents=True)
    (tmp_path / "papers" / "mine" / "paper.pdf").write_bytes(b"%PDF-")
    monkeypatch.chdir(tmp_path / "papers")
    process = run("convert", "mine", "--to", "chat", "--json")
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["rows"] == {"train": 3, "test": 1}


@pytest.mark.parametrize(
    ("form", "kept"), [("chat", 3), ("sharegpt", 3), ("alpaca", 2), ("prompt", 2), ("text", 3), ("parquet", 3)]
)
def test_forms_are_read_back(dataset: Path, tmp_path: Path, form: str, kept: int) -> None:
    out = tmp_path / "out"
    process = run("convert", "mine", "--to", form, "--out", str(out), "--json")
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["rows"] == {"train": kept, "test": 1}
    file = next(out.glob("train.*"))
    records = list(Records(DataSpec(path=str(file))))
    assert len(records) == kept
    if form == "text":
        assert records[1].text == "Be brief.\n\nWho?\n\nShe."
    else:
        assert records[0].reply == "Thät."
        first = "Be brief.\n\nWho?" if form in ("alpaca", "prompt") else "Be brief."
        assert records[1].messages[0].content == first
    assert ("has more than one turn" in process.stderr) is (kept == 2)
    assert run("convert", "mine", "--to", form, "--out", str(out)).returncode == 2  # it is there already


def test_plain_text_comes_back_from_parquet(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    process = run("convert", str(tmp_path / "rows.jsonl"), "--to", "parquet", "--out", str(tmp_path / "out"))
    assert process.returncode == 0, process.stderr
    assert [one.text for one in Records(DataSpec(path=str(tmp_path / "out")))] == ["one", "two"]
    refused = run("convert", str(tmp_path / "rows.jsonl"), "--to", "alpaca", "--out", str(tmp_path / "no"))
    assert refused.returncode == 2
    assert "fits the form alpaca" in refused.stderr
    assert not (tmp_path / "no").exists()


def test_a_hub_folder_is_what_the_hubs_library_loads(dataset: Path, tmp_path: Path) -> None:
    import datasets

    process = run("convert", str(dataset), "--to", "hub", "--out", str(tmp_path / "hub"))
    assert process.returncode == 0, process.stderr
    loaded = datasets.load_dataset(str(tmp_path / "hub"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 3, "test": 1}
    assert "# mine" in (tmp_path / "hub" / "README.md").read_text()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    process = run("convert", "nothing", "--to", "chat", "--out", str(tmp_path / "out"))
    assert process.returncode == 2
    assert "no dataset 'nothing'" in process.stderr


def test_rows_that_are_held_out_by_name_stay_so(tmp_path: Path) -> None:
    for name, text in (("train", "one"), ("val", "two"), ("test", "three")):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": text}) + "\n")
    process = run("convert", str(tmp_path), "--to", "chat", "--out", str(tmp_path / "out"), "--json")
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["rows"] == {"train": 1, "test": 1}
    assert json.loads((tmp_path / "out" / "test.jsonl").read_text()) == {"text": "two"}
    assert "left out of" in process.stderr


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


JUDGED: list[dict[str, Any]] = [
    {"prompt": [turn("user", "why?")], "chosen": [turn("assistant", "so")], "rejected": [turn("assistant", "no")]},
    {
        "prompt": [turn("system", "be kind"), turn("user", "why?")],
        "chosen": [turn("assistant", "so")],
        "rejected": [turn("assistant", "no"), turn("user", "then?"), turn("assistant", "yes")],
    },
    {"prompt": [turn("user", "when?")], "completion": [turn("assistant", "now")], "label": False},
]


@pytest.mark.parametrize(
    ("form", "kept"), [("chat", 3), ("sharegpt", 2), ("alpaca", 2), ("prompt", 2), ("text", 0), ("parquet", 3)]
)
def test_judged_answers_are_read_back(workspace: Path, tmp_path: Path, form: str, kept: int) -> None:
    rows, out = tmp_path / "rows.jsonl", tmp_path / "out"
    rows.write_text("".join(json.dumps(row) + "\n" for row in JUDGED))
    process = run("convert", str(rows), "--to", form, "--out", str(out))
    if not kept:
        assert process.returncode == 2
        assert "judges answers, which plain text cannot tell" in process.stderr
        return
    assert process.returncode == 0, process.stderr
    assert "imitated" not in process.stderr
    before = list(Records(DataSpec(path=str(rows)), use=None))
    after = list(Records(DataSpec(path=str(next(out.glob("train.*")))), use=None))
    left = [before[0], before[2]] if kept == 2 else before
    for was, now in zip(left, after, strict=True):
        assert (now.messages, now.rejected, now.label) == (was.messages, was.rejected, was.label)
        assert now.prompt_turns == was.prompt_turns
