"""Pairs to rounds: none is parted without need, every row is in one, and processes share them."""

from __future__ import annotations

import numpy as np
import pytest

from gemmalocal.data.batches import BatchShape
from gemmalocal.data.examples import Example
from gemmalocal.data.judged_rounds import judged_rounds, share_rounds
from tests.backends.judged import some_pairs

SHAPES = [
    BatchShape(8, 24, 64, streams=2, packed=True),
    BatchShape(8, 24, 64, streams=3, packed=True),
    BatchShape(1, 128, 80),
    BatchShape(32, 256, 4096),
    BatchShape(8, 24, 16, streams=4),
]


@pytest.mark.parametrize("rows", [None, 1, 3])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_every_row_is_in_one_round_with_its_other(shapes: BatchShape, rows: int | None) -> None:
    for seed in range(8):
        pairs = some_pairs(9, seed, longest=60)
        planned = judged_rounds(pairs, 2, shapes, rows)
        for each in planned:
            places = sorted(place for parts in each.passes for part in parts for place in part.rows)
            assert places[::2] == [place - 1 for place in places[1::2]]
            assert all(place % 2 == 0 for place in places[::2])
            assert all(len(parts) <= shapes.streams for parts in each.passes)
            assert len(each.passes) == 1 or len(places) == 2  # parted is one pair that fits into no round
        parts = [part for each in planned for parts in each.passes for part in parts]
        assert sorted(place for part in parts for place in part.rows) == list(range(len(pairs)))
        assert [part.number for part in parts] == list(range(len(parts)))
        assert all(len(part.rows) <= (rows or len(pairs)) for part in parts)
        assert all(part.tokens <= shapes.limit or len(part.rows) == 1 or shapes.streams > 1 for part in parts)
        assert sum(part.supervised for part in parts) == sum(int(pair.weights.sum()) for pair in pairs)


def test_the_tokens_of_a_row_are_its_own() -> None:
    pairs = some_pairs(5)
    for each in judged_rounds(pairs, 2, SHAPES[0]):
        for part in each.passes[0]:
            learned = part.ids[:, 1:][part.weights[:, 1:] > 0]
            np.testing.assert_array_equal(
                learned, np.concatenate([pairs[place].ids[pairs[place].weights > 0] for place in part.rows])
            )


def test_a_long_pair_alone_takes_two_passes_only_where_it_must() -> None:
    row = Example(np.arange(100, dtype=np.int32), np.array([0] * 50 + [1] * 50, np.float32))
    assert [len(each.passes) for each in judged_rounds([row, row], 2, BatchShape(1, 0, 60, streams=2))] == [1]
    assert [len(each.passes) for each in judged_rounds([row, row], 2, BatchShape(1, 0, 60))] == [2]
    assert [len(each.passes) for each in judged_rounds([row, row], 2, BatchShape(1, 0, 198))] == [1]


@pytest.mark.parametrize("size", [1, 2, 3, 20])
def test_processes_share_all_rounds(size: int) -> None:
    pairs = some_pairs(16)
    planned = judged_rounds(pairs, 2, SHAPES[3], at_least=size)
    assert len(planned) >= min(size, 8)
    shared = [each for rank in range(size) for each in share_rounds(planned, rank, size)]
    assert sorted(map(id, shared)) == sorted(map(id, planned))
    if size == 2:
        loads = [sum(each.tokens for each in share_rounds(planned, rank, 2)) for rank in range(2)]
        assert min(loads) > 0.5 * max(loads)
