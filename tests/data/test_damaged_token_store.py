"""Examples that the disk has changed: named, made again from rows that have not changed, or refused."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from gemmalocal.data import token_store, token_writer
from gemmalocal.data.examples import Example
from gemmalocal.errors import DatasetError, ModelError
from gemmalocal.jobs.events import Notice
from gemmalocal.pipelines.shared.loading import Prepared, prepare
from gemmalocal.recipe import recipe_file
from tests.conftest import random_weights
from tests.data.test_token_store import some_examples, stored
from tests.engine.test_damaged_checkpoints import HARM, cut, flip

FILES = [
    token_store.IDS,
    token_store.WEIGHTS,
    token_store.ROWS,
    token_store.SOURCES,
    token_store.ABOUT,
    token_store.HASHES,
]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", HARM)
def test_each_damage_is_named(tmp_path: Path, name: str, harm: str) -> None:
    stored(tmp_path / "s", some_examples(), 5)
    assert token_store.damage(tmp_path / "s") == {}
    HARM[harm][0](tmp_path / "s" / name)
    assert set(token_store.damage(tmp_path / "s")) == {name}


def notices_of(recipe_path: Path, place: Path) -> list[str]:
    events = prepare(recipe_file.load(str(recipe_path)), Prepared(), place)
    return [event.text for event in events if isinstance(event, Notice)]


def content(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()}


@pytest.mark.parametrize("name", [*FILES, "two"])
def test_they_are_made_again_from_rows_that_have_not_changed(recipe_path: Path, tmp_path: Path, name: str) -> None:
    place = tmp_path / "run" / "examples"
    notices_of(recipe_path, place)
    before = content(place)
    for file in (token_store.IDS, token_store.ROWS) if name == "two" else (name,):
        flip(place / file)
    notices = notices_of(recipe_path, place)
    assert name in notices[0] or name == "two"
    assert any("made again" in notice for notice in notices) == (name != token_store.SOURCES)
    if name != token_store.SOURCES:  # these are only names, and are left
        assert content(place) == before
    assert [path.name for path in place.parent.iterdir()] == ["examples"]


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
@pytest.mark.parametrize("rows_are", ["changed", "gone"])
def test_they_are_refused_if_the_rows_changed(
    recipe_path: Path, rows: Path, tmp_path: Path, harm: Callable[[Path], None], rows_are: str
) -> None:
    place = tmp_path / "run" / "examples"
    notices_of(recipe_path, place)
    harm(place / token_store.IDS)
    rows.write_text(rows.read_text().replace("x7", "y7")) if rows_are == "changed" else rows.unlink()
    with pytest.raises(DatasetError, match=r"damaged: ids.bin .*cannot be made again") as caught:
        notices_of(recipe_path, place)
    assert ("have changed since" in caught.value.message) == (rows_are == "changed")
    assert "new run" in caught.value.hint


def test_rows_that_were_added_since_are_told(recipe_path: Path, rows: Path, tmp_path: Path) -> None:
    place = tmp_path / "first" / "examples"
    notices_of(recipe_path, place)
    assert notices_of(recipe_path, place) == []
    os.utime(rows, (time.time() + 9,) * 2)
    (notice,) = notices_of(recipe_path, place)
    assert notice.startswith("rows.jsonl was changed after this run read it")
    assert "start_from: first" in notice


def test_a_store_of_before_the_hashes_opens_and_is_held_against_itself(recipe_path: Path, tmp_path: Path) -> None:
    place = tmp_path / "run" / "examples"
    notices_of(recipe_path, place)
    before = content(place)
    about = json.loads(before[token_store.ABOUT])
    del about["sealed"]
    (place / token_store.ABOUT).write_text(json.dumps(about))
    (place / token_store.HASHES).unlink()
    assert token_store.damage(place) == {}
    assert notices_of(recipe_path, place) == []
    cut(place / token_store.WEIGHTS)
    with pytest.raises(DatasetError, match=r"weights.bin has .* bytes instead of"):
        token_store.load(place)


@pytest.mark.parametrize(("number", "shown"), [(100, "100"), (10**8, "100,000,000"), (-1, "-1")])
def test_ids_beyond_the_vocabulary_are_refused(tmp_path: Path, number: int, shown: str) -> None:
    def write(vocabulary: int | None) -> None:
        with token_writer.writing(tmp_path / "s") as writer:
            writer.add(Example(np.array([1, number, 99], np.int32), np.ones(3, np.float32), "a:1"))
            writer.close(np.zeros(1, bool), {"plain": True}, vocabulary)

    with pytest.raises(ModelError, match=f"token {shown}, .* only those below 100"):
        write(100)
    assert not token_store.exists(tmp_path / "s")
    write(None)  # as older versions wrote it
    with pytest.raises(ModelError, match=f"token {shown}, "):
        token_store.check_ids(tmp_path / "s", 100)
    token_store.check_ids(tmp_path / "s", None)


def test_rows_are_held_against_the_model_that_is_there(recipe_path: Path, tiny: Path, tmp_path: Path) -> None:
    place = tmp_path / "run" / "examples"
    notices_of(recipe_path, place)
    other = tmp_path / "other"
    other.mkdir()
    for path in tiny.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    config = json.loads((tiny / "config.json").read_text())
    config["vocab_size"] = 20
    (other / "config.json").write_text(json.dumps(config))
    save_file(random_weights(config), other / "model.safetensors", metadata={"format": "pt"})
    recipe_path.write_text(recipe_path.read_text().replace(str(tiny), str(other)))
    for folder in (place, tmp_path / "new" / "examples"):
        with pytest.raises(ModelError, match="only those below 20"):
            notices_of(recipe_path, folder)
