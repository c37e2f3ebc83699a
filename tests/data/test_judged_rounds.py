"""Pairs to rounds: none is parted without need, every row is in one, and processes share them."""

from __future__ import annotations

import numpy as np
import pytest

from gemmalocal.data.batches import BatchShape, MicroBatch, Prefix
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


def test_the_prompt_of_a_pair_is_laid_out_once() -> None:
    pairs, shapes = some_pairs(6), BatchShape(1, 0, 400, packed=True)
    (each,) = judged_rounds(pairs, 2, shapes)
    ((part,),) = each.passes
    prompts = [int(np.count_nonzero(pair.weights == 0)) for pair in pairs[::2]]
    assert part.tokens == sum(len(pair.ids) for pair in pairs) - sum(prompts) - 1
    assert sum(prefix is not None for prefix in part.prefixes) == len(prompts)
    places, ids = part.predictions()
    ends = iter(np.cumsum([len(segment) for segment in segments_of(part)]))
    wanted, at = [], 0
    for place, segment in zip(part.rows, segments_of(part), strict=True):
        row, prefix = pairs[place], part.prefixes[part.rows.index(place)]
        before = [] if prefix is None else part.ids[0, prefix.start : prefix.end].tolist()
        assert [*before, *segment][: len(row.ids)] == row.ids.tolist()
        first = int(np.flatnonzero(row.weights)[0])
        start = at if prefix is None else prefix.start
        answer = range(at + first - len(before), at + len(row.ids) - len(before))
        wanted += [start + first - 1, *answer[:-1]]
        at = int(next(ends))
    assert places.tolist() == wanted
    np.testing.assert_array_equal(
        ids, np.concatenate([pairs[place].ids[pairs[place].weights > 0] for place in part.rows])
    )


def segments_of(part: MicroBatch) -> list[list[int]]:
    """The ids that stand in each segment of a packed row, the last without what is only predicted."""
    ends = np.cumsum(part.segments).tolist()
    return [part.ids[0, start:end].tolist() for start, end in zip([0, *ends], [*ends[:-1], ends[-1] + 1], strict=False)]


@pytest.mark.parametrize(
    ("first", "second", "weights", "shared"),
    [
        ([5, 6, 7, 8], [5, 6, 9, 8], [0, 0, 1, 1], 2),
        ([5, 6, 7, 8], [5, 6, 7, 9], [0, 0, 1, 1], 2),  # answers that begin alike are predicted in both
        ([5, 6, 7], [5, 6, 7], [0, 0, 1], 2),
        ([5, 6, 7], [8, 6, 7], [0, 0, 1], 0),
        ([5, 6, 7, 8], [5, 6, 7, 9], [0.5, 0.5, 1, 1], 0),  # a prompt that is learned too
        ([5, 6], [5, 6], [0, 0], 1),
    ],
)
def test_how_much_of_a_pair_is_shared(first: list[int], second: list[int], weights: list[float], shared: int) -> None:
    pair = [Example(np.array(row, np.int32), np.array(weights, np.float32)) for row in (first, second)]
    (each,) = judged_rounds(pair, 2, BatchShape(1, 0, 60, packed=True))
    ((part,),) = each.passes
    assert part.tokens == 2 * len(first) - shared - 1
    assert part.prefixes == ((None, Prefix(0, shared)) if shared else ())


def test_a_prompt_is_computed_twice_where_that_is_not_slower() -> None:
    (pair,) = [some_pairs(1, longest=30)]
    two_streams = judged_rounds(pair, 2, BatchShape(1, 0, 400, streams=2, packed=True))
    assert [len(part.rows) for part in two_streams[0].passes[0]] == [1, 1]
    assert not any(part.prefixes for each in judged_rounds(pair, 2, BatchShape(8, 0, 400)) for part in each.passes[0])
    one_row = judged_rounds(pair, 2, BatchShape(1, 0, 400, packed=True), rows=1)
    assert [len(part.rows) for parts in one_row[0].passes for part in parts] == [1, 1]


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
