"""Batches: every row once an epoch, the same at any time; micro-batches lose nothing."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from gemmalocal.data.batches import BatchShape, batch, plan, rounds, share
from gemmalocal.data.examples import Example


def examples(*lengths: int) -> list[Example]:
    return [
        Example(np.arange(1, length + 1, dtype=np.int32), np.ones(length, np.float32), f"row{number}")
        for number, length in enumerate(lengths)
    ]


def test_every_row_once_an_epoch_across_batch_borders() -> None:
    rows = examples(*range(3, 13))
    seen = [row.source for number in range(10) for row in batch(rows, 3, 5, number)]
    assert set(Counter(seen[:10]).values()) == {1}
    assert set(Counter(seen[10:20]).values()) == {1}
    assert seen[:10] != seen[10:20]
    assert [row.source for row in batch(rows, 3, 5, 7)] == seen[21:24]
    assert [row.source for row in batch(rows, 3, 6, 0)] != seen[:3]


def test_the_last_batch_of_a_stream_with_an_end_takes_what_is_left() -> None:
    rows = examples(3, 4, 5, 6, 7)
    batches = [batch(rows, 2, 0, number, end=5) for number in range(3)]
    assert [len(chosen) for chosen in batches] == [2, 2, 1]
    assert sorted(row.source for chosen in batches for row in chosen) == [row.source for row in rows]
    assert [row.source for row in batch(rows, 64, 0, 0, end=5)] == [row.source for row in batch(rows, 5, 0, 0)]


@pytest.mark.parametrize("rows", [None, 1, 2, 100])
def test_the_plan_keeps_every_row_and_token(rows: int | None) -> None:
    lengths = np.random.default_rng(0).integers(2, 200, 40)
    parts = plan(examples(*lengths), BatchShape(32, 64, 512), rows)
    assert sum(len(part.ids) for part in parts) == 40
    assert sum(part.supervised for part in parts) == int((lengths - 1).sum())
    for part in parts:
        count, length = part.ids.shape
        assert (length - 1) % 32 == 0
        assert count == 1 or count * (length - 1) <= 512
        assert rows is None or count <= rows
        assert not part.weights[part.ids == 0].any()


def test_the_plan_beats_one_padded_batch_and_single_rows() -> None:
    lengths = [10, 11, 12, 200]
    parts = plan(examples(*lengths), BatchShape(8, 32, 4096))
    assert sorted(len(part.ids) for part in parts) == [1, 3]


def test_every_lane_gets_a_micro_batch_and_the_smallest_is_left_over() -> None:
    rows = examples(*[30] * 8)
    assert len(plan(rows, BatchShape(8, 32, 4096))) == 1
    parts = plan(rows, BatchShape(8, 32, 4096, 2))
    assert [len(part.ids) for part in parts] == [4, 4]
    parts = plan(examples(10, 40, 90), BatchShape(8, 0, 8, 2))
    assert [[part.ids.shape[1] - 1 for part in several] for several in rounds(parts, 2)] == [[16], [40, 96]]
    assert [list(several) for several in rounds(parts[:1], 2)] == [parts[:1]]


@pytest.mark.parametrize("rows", [None, 1, 3])
def test_packed_rows_lie_end_to_end_and_none_is_lost(rows: int | None) -> None:
    lengths = np.random.default_rng(0).integers(2, 200, 40)
    parts = plan(examples(*lengths), BatchShape(8, 0, 256, 2, packed=True), rows)
    assert sum(part.supervised for part in parts) == int((lengths - 1).sum())
    unpacked = []
    for part in parts:
        assert len(part.ids) == 1
        assert len(part.segments) <= (rows or 40)
        assert not part.segments or sum(part.segments) == part.tokens <= 256
        assert not part.weights[part.ids == 0].any()
        unpacked += [row[row > 0].tolist() for row in np.split(part.ids[0], np.cumsum(part.segments)[:-1].astype(int))]
    assert sorted(map(len, unpacked)) == sorted(lengths)
    assert all(row == list(range(1, len(row) + 1)) for row in unpacked)


def test_packed_rows_fill_the_lanes_evenly() -> None:
    parts = plan(examples(90, 50, 40, 20, 20), BatchShape(1, 0, 256, 2, packed=True))
    assert [part.tokens for part in parts] == [109, 109]
    assert len(plan(examples(40), BatchShape(8, 0, 256, 4, packed=True))) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 40])
@pytest.mark.parametrize("packed", [False, True])
def test_the_ranks_shares_are_the_plan_and_about_equal(size: int, packed: bool) -> None:
    parts = plan(examples(5, 9, 40, 33, 12, 60, 21, 8, 17, 30), BatchShape(4, 0, 64, packed=packed))
    assert [part.number for part in parts] == list(range(len(parts)))
    shares = [share(parts, rank, size) for rank in range(size)]
    assert sorted(part.number for mine in shares for part in mine) == list(range(len(parts)))
    assert all([part.number for part in mine] == sorted(part.number for part in mine) for mine in shares)
    loads = [sum(part.tokens for part in mine) for mine in shares]
    assert max(loads) - min(loads) <= max(part.tokens for part in parts)
