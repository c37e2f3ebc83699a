"""Examples on disk are the examples that were put in, and nothing is read that is not asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gemmalocal.data import token_store, token_writer
from gemmalocal.data.batches import BatchShape, batch, largest
from gemmalocal.data.examples import Example
from gemmalocal.data.token_store import lengths


def some_examples(count: int = 30) -> list[Example]:
    dice = np.random.default_rng(0)
    return [
        Example(
            dice.integers(0, 262_144, length).astype(np.int32),
            (np.arange(length) > length // 2).astype(np.float32),
            f"rows.jsonl:{number}",
            cut=number % 7 == 0,
        )
        for number, length in enumerate(dice.integers(2, 60, count))
    ]


def same(left: Example, right: Example) -> bool:
    return (left.ids == right.ids).all() and (left.weights == right.weights).all() and left.cut == right.cut


def stored(folder: Path, examples: list[Example], every: int) -> tuple[token_store.Examples, token_store.Examples]:
    with token_writer.writing(folder) as writer:
        for example in examples:
            writer.add(example)
        writer.close(np.arange(len(examples)) % every == 0, {"plain": True, "between": "\n"})
    train, held_out, about = token_store.load(folder)
    assert about == {"plain": True, "between": "\n"}
    return train, held_out


def test_a_store_of_before_has_nothing_between(tmp_path: Path) -> None:
    with token_writer.writing(tmp_path / "s") as writer:
        writer.close(np.zeros(0, bool), {"plain": False})
    assert token_store.about(tmp_path / "s") == {"plain": False, "between": ""}


def test_what_goes_in_comes_out_on_its_side(tmp_path: Path) -> None:
    examples = some_examples()
    train, held_out = stored(tmp_path / "s", examples, 5)
    expected = [example for number, example in enumerate(examples) if number % 5]
    assert (len(train), len(held_out)) == (24, 6)
    assert all(map(same, train, expected))
    assert all(map(same, held_out, examples[::5]))
    assert same(train[-1], expected[-1])
    assert all(map(same, train[3:7], expected[3:7]))
    assert train[0].ids.dtype == np.int32
    assert train[0].weights.dtype == np.float32
    assert train.lengths.tolist() == [len(example.ids) for example in expected]
    assert train.supervised == sum(example.supervised for example in expected)
    assert train.cut == sum(example.cut for example in expected)
    assert train.sources(3) == ["rows.jsonl:1", "rows.jsonl:2", "rows.jsonl:3"]
    with pytest.raises(IndexError):
        train[24]


def test_some_are_spaced_over_all(tmp_path: Path) -> None:
    _, held_out = stored(tmp_path / "s", some_examples(), 2)
    assert held_out.spaced(15) is held_out
    some = held_out.spaced(4)
    assert len(some) == 4
    assert all(same(one, held_out[place]) for one, place in zip(some, (0, 3, 7, 11), strict=True))


def test_some_are_drawn_by_a_seed_in_their_order(tmp_path: Path) -> None:
    train, held_out = stored(tmp_path / "s", some_examples(), 2)
    assert held_out.drawn(15, 0) is held_out
    some = train.drawn(4, 1)
    names = some.sources(4)
    assert names == train.drawn(4, 1).sources(4) == sorted(names, key=lambda name: int(name.rpartition(":")[2]))
    assert len(set(names)) == 4
    assert names != train.drawn(4, 2).sources(4)
    by_name = dict(zip(train.sources(len(train)), train, strict=True))
    assert all(same(example, by_name[name]) for example, name in zip(some, names, strict=True))


def test_batches_are_those_of_a_list(tmp_path: Path) -> None:
    examples = some_examples()
    train, _ = stored(tmp_path / "s", examples, 31)
    listed = list(train)
    shapes = BatchShape(8, 16, 128)
    for number in range(12):
        assert all(map(same, batch(train, 4, 3, number), batch(listed, 4, 3, number)))
    assert lengths(train).tolist() == lengths(listed).tolist()
    assert largest(train, 4, 3, shapes, None) == largest(listed, 4, 3, shapes, None)


def test_lengths_touch_no_token(tmp_path: Path) -> None:
    train, _ = stored(tmp_path / "s", some_examples(), 31)
    before = train.lengths.tolist()
    (tmp_path / "s" / token_store.IDS).write_bytes(b"")  # nothing is left to touch
    assert train.lengths.tolist() == before


def test_a_store_is_whole_or_not_there(tmp_path: Path) -> None:
    def torn() -> None:
        with token_writer.writing(tmp_path / "s") as writer:
            writer.add(some_examples(1)[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        torn()
    assert not token_store.exists(tmp_path / "s")
    assert not list(tmp_path.iterdir())
