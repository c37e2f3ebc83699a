"""Which rows are trained on, held out or left out by the names of their files, folders and lists; and what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gemmalocal.data.dataset import Records
from gemmalocal.data.examples import decode_example
from gemmalocal.documents.splits import side_of
from gemmalocal.errors import DatasetError
from gemmalocal.jobs.events import Notice
from gemmalocal.pipelines.shared.loading import Prepared, prepare
from gemmalocal.recipe.data_spec import DataSpec
from gemmalocal.recipe.schema import Recipe


def put(folder: Path, **files: list[str]) -> Path:
    """Files of rows by name (`__` is a dot, `_of_` a folder's slash), each row a text."""
    for name, texts in files.items():
        file = folder / name.replace("_in_", "/").replace("__", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".parquet":
            pq.write_table(pa.table({"text": texts}), file)
        else:
            file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return folder


def sides(path: Any, **data: Any) -> tuple[list[str], list[str], list[str]]:
    """The texts to train on, those held out, and the notes."""
    records = Records(DataSpec(path=path, **{"split": 0, **data}))
    texts = [record.text for record in records]
    validation = records.held_out(np.ones(len(texts), np.bool_))
    train = [text for text, side in zip(texts, validation, strict=True) if not side]
    return train, [text for text, side in zip(texts, validation, strict=True) if side], records.notes()


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("train", "train"),
        ("train-00000-of-00001", "train"),
        ("my_rows.train", "train"),
        ("val", "held out"),
        ("validation-00000-of-00001", "held out"),
        ("quotes_valid", "held out"),
        ("dev", "held out"),
        ("eval", "held out"),
        ("held_out", "held out"),
        ("held-out", "held out"),
        ("Test", "test"),
        ("test-00003-of-00007", "test"),
        ("gsm8k_test", "test"),
        ("latest", ""),
        ("a test of time", ""),
        ("evaluator", ""),
        ("trainer", ""),
        ("rows", ""),
    ],
)
def test_sides_by_name(name: str, side: str) -> None:
    assert side_of(name) == side


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv"])
@pytest.mark.parametrize("held_out", ["val", "valid", "validation-00000-of-00001", "dev", "eval", "held_out"])
def test_a_file_by_its_name(tmp_path: Path, held_out: str, suffix: str) -> None:
    put(
        tmp_path, **{f"train-00000-of-00001__{suffix}": ["a"], f"{held_out}__{suffix}": ["v"], f"test__{suffix}": ["t"]}
    )
    if suffix == "csv":
        for file in tmp_path.iterdir():
            file.write_text("text\n" + json.loads(file.read_text())["text"] + "\n")
    train, validation, notes = sides(str(tmp_path))
    assert (train, validation) == (["a"], ["v"])
    assert f"held out of {tmp_path} by name: {held_out}.{suffix}" in notes
    assert f"left out of {tmp_path} by name, for a last test: test.{suffix}" in notes


def test_a_test_alone_is_left_out_and_a_share_is_held_out(tmp_path: Path) -> None:
    put(tmp_path, train__jsonl=["a", "b", "c"], test__jsonl=["t"])
    train, validation, (note,) = sides(str(tmp_path), split=0.4)
    assert sorted(train + validation) == ["a", "b", "c"]
    assert validation
    assert "test.jsonl; a share of the other rows is held out instead (data.split)" in note


def test_what_is_alone_is_trained_on(tmp_path: Path) -> None:
    assert sides(str(put(tmp_path / "a", test__jsonl=["t"])))[0] == ["t"]
    assert sides(str(put(tmp_path / "b", val__jsonl=["v"])))[0] == ["v"]
    assert sides(str(put(tmp_path / "c", val__jsonl=["v"], test__jsonl=["t"])))[:2] == (["t"], ["v"])
    assert sides(str(tmp_path / "a" / "test.jsonl"))[0] == ["t"]


def test_an_object_of_lists(tmp_path: Path) -> None:
    splits = {"test": ["t", "u"], "train": list("abcdefghij"), "validation": ["v"]}
    rows: dict[str, Any] = {name: [{"text": text} for text in texts] for name, texts in splits.items()}
    file = tmp_path / "rows.json"
    file.write_text(json.dumps({**rows, "tags": ["x", "y"]}))
    train, validation, notes = sides(str(file))
    assert (train, validation) == (list("abcdefghij"), ["v"])
    assert notes == [
        "lists in rows.json that are not read: tags (2)",
        "held out of rows.json by name: validation",
        "left out of rows.json by name, for a last test: test",
    ]
    file.write_text(json.dumps({"test": rows["test"], "train": rows["train"]}))
    assert sides(str(file))[0] == list("abcdefghij")
    file.write_text(json.dumps({"info": {"name": "x"}, "data": rows["train"], "people": [{"name": "y"}]}))
    train, _, notes = sides(str(file))
    assert (train, notes) == (list("abcdefghij"), ["lists in rows.json that are not read: people (1)"])
    file.write_text(json.dumps({"text": "one", "tags": ["x"]}, indent=2))
    assert sides(str(file))[0] == ["one"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    put(tmp_path, a__jsonl=["a"])
    (tmp_path / "b.json").write_bytes('{"train": []}'.encode("utf-16"))
    records = Records(DataSpec(path=str(tmp_path), split=0))
    assert [record.text for record in records] == ["a"]
    assert "b.json is not UTF-8 text" in records.findings.notices()[0]


def test_a_clone_of_the_hub(tmp_path: Path) -> None:
    put(tmp_path, **{"data_in_train-00000-of-00001__parquet": ["a"], "data_in_test-00000-of-00001__parquet": ["t"]})
    for name in ("README.md", "LICENSE", "requirements.txt", "CITATION.cff", "dataset_infos.json", ".gitattributes"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "images").mkdir()
    train, _, notes = sides(str(tmp_path))
    assert train == ["a"]
    assert (
        f"not read in {tmp_path}: CITATION.cff, LICENSE, README.md, dataset_infos.json, requirements.txt, images/"
        in notes
    )


def test_folders_by_their_names(tmp_path: Path) -> None:
    put(
        tmp_path, train_in_a__jsonl=["a"], train_in_b__jsonl=["b"], validation_in_a__jsonl=["v"], test_in_a__jsonl=["t"]
    )
    assert sides(str(tmp_path))[:2] == (["a", "b"], ["v"])


def test_texts_about_rows_are_none(tmp_path: Path) -> None:
    put(tmp_path, rows__jsonl=["a"])
    for name in ("README.md", "readme.ja.md", "requirements-dev.txt", "CITATION.txt", "LICENSE.txt", "notes.docx"):
        (tmp_path / name).write_text("about")
    (tmp_path / "poem.txt").write_text("a poem")
    (tmp_path / "more").mkdir()
    train, _, (note,) = sides(str(tmp_path))
    assert train == ["a poem", "a"]
    assert note.endswith("CITATION.txt, LICENSE.txt, README.md, notes.docx, readme.ja.md, requirements-dev.txt, more/")
    with pytest.raises(DatasetError, match=r"holds no rows: not read LICENSE"):
        sides(str(put(tmp_path / "none", LICENSE=["x"])))


def test_what_datasets_saved_to_disk(tmp_path: Path) -> None:
    import datasets

    saved = datasets.Dataset.from_list([{"text": "a"}, {"text": "b"}])
    saved.save_to_disk(str(tmp_path / "one"))
    assert sides(str(tmp_path / "one"))[0] == ["a", "b"]
    other = datasets.Dataset.from_list([{"text": "v"}])
    both = datasets.DatasetDict({"train": saved, "validation": other, "test": other.map(lambda row: {"text": "t"})})
    both.save_to_disk(str(tmp_path / "dict"))
    train, validation, notes = sides(str(tmp_path / "dict"))
    assert (train, validation) == (["a", "b"], ["v"])
    assert any("for a last test" in note for note in notes)


def test_a_split_is_left_out_of_training_where_it_repeats_the_held_out_rows(tmp_path: Path) -> None:
    put(tmp_path, train__jsonl=["a", "b", "b"], valid__jsonl=["b"])
    train, validation, notes = sides(str(tmp_path), duplicates="keep")
    assert (train, validation) == (["a"], ["b"])
    assert "2 duplicate rows left out, 2 of them because they are held out" in notes


def test_several_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, a__jsonl=["a1", "a2", "a3"], more_in_b__jsonl=["b1"], more_in_c__jsonl=["c1"])
    (tmp_path / "q: 1.jsonl").write_text('{"q": "why"}\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    path = [
        {"path": "~/a.jsonl", "rows": 2},
        f"{tmp_path}/more/*.jsonl",
        {"path": f"{tmp_path}/q: 1.jsonl", "weight": 2, "template": "{q}?"},
    ]
    train, _, notes = sides(path)
    assert train == ["a1", "a2", "b1", "c1", "why?"]
    assert notes == ["~/a.jsonl: 2 rows taken", f"{tmp_path}/q: 1.jsonl: each 2 times in an epoch"]
    with pytest.raises(DatasetError, match="no file that can be read matches"):
        sides([f"{tmp_path}/*.parquet"])


def test_the_first_rows_or_drawn_ones(tmp_path: Path) -> None:
    every = [f"{number}" for number in range(200)]
    put(tmp_path, a__jsonl=every, b__jsonl=["x"])
    file = str(tmp_path / "a.jsonl")
    assert sides(file, rows=3)[0] == ["0", "1", "2"]
    drawn = sides(file, rows=20, draw="random")[0]
    assert drawn == sides(file, rows=20, draw="random")[0]
    assert drawn == sorted(set(drawn), key=int)
    assert len(drawn) == 20
    assert drawn != every[:20]
    assert sides(file, rows=20, draw="random", draw_seed=1)[0] != drawn
    both = [{"path": file, "rows": 5}, str(tmp_path / "b.jsonl")]
    assert len(sides(both, draw="random")[0]) == 6
    assert sides(both, draw="random")[0][-1] == "x"
    assert len(sides(both, rows=4, draw="random")[0]) == 4


def test_weights_are_times_in_an_epoch(tmp_path: Path) -> None:
    put(tmp_path, a__jsonl=[f"a{n}" for n in range(400)], b__jsonl=["b"])
    paths = [str(tmp_path / f"{name}.jsonl") for name in "ab"]
    records = Records(DataSpec(path=[{"path": paths[0], "weight": 1.5}, {"path": paths[1], "weight": 3}]))
    assert len(list(records)) == 401
    times = records.times()
    assert set(times[:400].tolist()) == {1, 2}
    assert 540 < times[:400].sum() < 660
    assert times[400] == 3


def test_weights_reach_training(tmp_path: Path, tiny: Path) -> None:
    turns = [{"role": "user", "content": "ask"}, {"role": "assistant", "content": "the first", "weight": 0}]
    turns += [{"role": "user", "content": "more"}, {"role": "assistant", "content": "the last"}]
    (tmp_path / "a.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    (tmp_path / "b.jsonl").write_text(
        "".join(json.dumps({"prompt": f"{n}", "completion": "b"}) + "\n" for n in range(4))
    )
    path = [{"path": str(tmp_path / "a.jsonl"), "weight": 3}, {"path": str(tmp_path / "b.jsonl"), "rows": 2}]
    recipe = Recipe.model_validate({"model": str(tiny), "data": {"path": path, "split": 0}, "train": {"steps": 1}})
    ready = Prepared()
    notices = [event.text for event in prepare(recipe, ready, tmp_path / "store") if isinstance(event, Notice)]
    assert notices[:2] == [f"{path[0]['path']}: each 3 times in an epoch", f"{path[1]['path']}: 2 rows taken"]
    assert ready.train.sources(5) == ["a.jsonl:1"] * 3 + ["b.jsonl:1", "b.jsonl:2"]
    assert ready.tokenizer is not None
    learned = [text for text, supervised in decode_example(ready.train[2], ready.tokenizer) if supervised]
    assert [text.startswith("the last") for text in learned] == [True]
    assert int(ready.train.lengths.sum()) == sum(len(example.ids) for example in ready.train)
    again = Prepared()
    assert [event for event in prepare(recipe, again, tmp_path / "store") if isinstance(event, Notice)] == []
    assert len(again.train) == 5
    (tmp_path / "store" / "times.npy").write_bytes(b"oops")
    notices = [event.text for event in prepare(recipe, Prepared(), tmp_path / "store") if isinstance(event, Notice)]
    assert "they were made again from the rows, which have not changed" in notices
