"""What a teacher said, on disk: by content, in the same bytes, and whole or not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gemmalocal.data import taught_store
from gemmalocal.data.examples import Example
from gemmalocal.data.taught_store import Shard, TaughtStore, row_key, shards, token_type
from tests.engine.test_damaged_checkpoints import cut, flip

KEEP = 5


def rows(count: int = 12, seed: int = 3) -> list[Example]:
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        length = int(random.integers(4, 30))
        weights = (np.arange(length) > 2).astype(np.float32)
        made.append(Example(random.integers(0, 300, length).astype(np.int32), weights))
    return made


def said(row: Example) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Something that a row alone decides."""
    random = np.random.default_rng(int(row.ids.sum()))
    count = int(np.count_nonzero(row.weights[1:]))
    logp = -np.sort(random.gamma(1, 2, (count, KEEP)), axis=1)
    return random.integers(0, 2**18, (count, KEEP)), logp, -random.gamma(1, 9, count)


def fill(store: TaughtStore, of_rows: list[Example], most: int = 99) -> None:
    keys = [row_key(row) for row in of_rows]
    for shard in list(shards(of_rows, keys))[:most]:
        if (left := store.missing(shard)).places:
            words = [said(of_rows[place]) for place in left.places]
            ids, logp, rest = (np.concatenate(parts) for parts in zip(*words, strict=True))
            store.add(left, [len(word[2]) for word in words], ids, logp, rest)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taught_store, "SHARD_TOKENS", 40)


def test_what_was_said_is_read_back_in_any_order(tmp_path: Path) -> None:
    made = rows()
    fill(TaughtStore(tmp_path, KEEP), made)
    store = TaughtStore(tmp_path, KEEP)
    for row in made[::-1]:
        ids, logp, rest = said(row)
        words = store[row_key(row)]
        np.testing.assert_array_equal(words["ids"], ids)
        np.testing.assert_allclose(words["logp"], logp, rtol=1e-3)
        np.testing.assert_allclose(words["rest"], rest, rtol=1e-3)


def test_broken_off_and_gone_on_with_the_bytes_are_the_same(tmp_path: Path) -> None:
    made, whole, again = rows(), tmp_path / "whole", tmp_path / "again"
    for folder in (whole, again):
        folder.mkdir()
    fill(TaughtStore(whole, KEEP), made)
    fill(TaughtStore(again, KEEP), made, most=2)
    assert len(content(again)) == 4
    fill(TaughtStore(again, KEEP), made[::-1] + made[:3])  # in another order, some twice
    assert content(again) == content(whole)


def test_only_new_rows_are_asked_for(tmp_path: Path) -> None:
    made = rows()
    store = TaughtStore(tmp_path, KEEP)
    fill(store, made)
    before, more = content(tmp_path), [*made, *rows(2, seed=9)]
    missing = [key for shard in shards(more, [row_key(row) for row in more]) for key in store.missing(shard).keys]
    assert sorted(missing) == sorted(row_key(row) for row in more[-2:])
    fill(store, more)
    assert before.items() <= content(tmp_path).items()


@pytest.mark.parametrize("ending", [".npy", ".json"])
@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
def test_a_damaged_shard_is_asked_again_alone(ending: str, harm: object, tmp_path: Path) -> None:
    made = rows()
    fill(TaughtStore(tmp_path, KEEP), made)
    before = content(tmp_path)
    harm(next(file for file in sorted(tmp_path.iterdir()) if file.suffix == ending))  # type: ignore[operator]
    store = TaughtStore(tmp_path, KEEP)
    assert len(store.damage) == (0 if harm is Path.unlink and ending == ".json" else 1)
    left = [key for shard in shards(made, [row_key(row) for row in made]) for key in store.missing(shard).keys]
    assert 0 < len(left) < len(made)
    fill(store, made)
    assert content(tmp_path) == before


def test_a_row_is_known_by_its_ids_and_what_of_them_is_predicted() -> None:
    row = rows(1)[0]
    others = [
        Example(row.ids + 1, row.weights),
        Example(row.ids, np.roll(row.weights, 1)),
        Example(row.ids[:-1], row.weights[:-1]),
    ]
    assert len({row_key(each) for each in (row, *others)}) == 4
    assert row_key(Example(row.ids, row.weights * 0.5, "elsewhere")) == row_key(row)  # learned by half


def test_a_token_takes_no_more_than_it_should() -> None:
    assert token_type(32).itemsize <= 210
    assert Shard([0], ["a"]).name != Shard([0, 1], ["a", "b"]).name
