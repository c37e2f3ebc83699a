"""Near copies: what is remembered of each text stays small, and what is found does not depend on when it came."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np

from gemmalocal.documents.duplicates import HASHES, NearDuplicates
from gemmalocal.documents.lsh import NEWEST, ROWS, BandIndex

WORDS = ["".join(random.Random(n).choices("abcdefghijklmnop", k=6)) for n in range(2000)]


def text(seed: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=40))


def test_a_text_takes_three_kilobytes() -> None:
    near = NearDuplicates()
    for seed in range(NEWEST):
        assert near.original(f"{seed}", text(seed)) is None
    tracemalloc.start()
    for seed in range(NEWEST, 9 * NEWEST):
        near.original(f"{seed}", text(seed))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / (8 * NEWEST) < 3072


def test_copies_are_found_however_much_came_between() -> None:
    near = NearDuplicates()
    for seed in range(5 * NEWEST + 7):
        near.original(f"{seed}", text(seed))
    for seed in range(0, 5 * NEWEST + 7, 97):
        first, _, rest = text(seed).partition(" ")
        assert near.original("copy", f"{rest} {first}") == f"{seed}"
    assert near.original("new", text(999_999)) is None


def test_sketches_that_share_a_band_are_candidates() -> None:
    noise = np.random.default_rng(7)
    sketches = noise.integers(0, 2**32, (3 * NEWEST, HASHES), np.uint32)
    index = BandIndex(HASHES)
    for sketch in sketches:
        index.add(sketch)
    for number in range(0, NEWEST, 13):
        other = noise.integers(0, 2**32, HASHES, np.uint32)
        band = number % (HASHES // ROWS)
        other[band * ROWS : band * ROWS + ROWS] = sketches[number, band * ROWS : band * ROWS + ROWS]
        assert index.candidates(other).tolist() == [number]
        swapped = np.roll(sketches[number], ROWS)  # the same bands in other places are not shared
        assert number not in index.candidates(swapped)
