"""Locality-sensitive hashing in flat arrays: 8 bytes a band of each sketch, where tables of objects take a hundred.

Sketches that share a band (two neighbouring hashes) are candidates. The newest are compared one by one; older ones lie
in sorted runs, of which equally long ones are merged, so that a look-up searches few (a log-structured merge tree).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ROWS = 2  # hashes a band
MOST = 4  # sketches of one band and run that are looked at: a band that many share says little
NEWEST = 128  # sketches that are compared one by one
ODD = np.uint32(0x9E3779B1)  # spreads bits (Knuth's multiplicative hashing)


class BandRun(NamedTuple):
    """Bands of some sketches: hashes in order, and the number of each one's sketch; (entries,) both."""

    bands: NDArray[np.uint32]
    sketches: NDArray[np.int32]


class BandIndex:
    """Sketches by their bands; they are numbered from 0 as they come."""

    def __init__(self, hashes: int) -> None:
        self._salt = np.arange(hashes // ROWS, dtype=np.uint32) * ODD  # a band's hash is of its place, too
        self._runs: list[BandRun] = []
        self._indexed = 0  # sketches that are in runs
        self.sketches = np.empty((2 * NEWEST, hashes), np.uint32)
        self._count = 0

    def add(self, sketch: NDArray[np.uint32]) -> None:
        """Take in a sketch, (hashes,)."""
        if self._count == len(self.sketches):  # half as much room again
            self.sketches = np.concatenate([self.sketches, np.empty_like(self.sketches[: self._count // 2])])
        self.sketches[self._count] = sketch
        self._count += 1
        if self._count - self._indexed == NEWEST:
            self._index()

    def candidates(self, sketch: NDArray[np.uint32]) -> NDArray[np.int32]:
        """Numbers of the sketches that may be like this one, (hashes,), in order; the newest are all among them."""
        bands = self._bands(sketch[None])[0]
        older = set[int]()
        for run in self._runs:
            first = np.searchsorted(run.bands, bands)
            shared = run.bands[np.minimum(first, len(run.bands) - 1)] == bands
            if not shared.any():
                continue
            # (shared bands, MOST): the entries from each band's first on, without those that are of a later band.
            indices = np.minimum(first[shared, None] + np.arange(MOST), len(run.bands) - 1)
            older.update(run.sketches[indices[run.bands[indices] == bands[shared, None]]].tolist())
        return np.array([*sorted(older), *range(self._indexed, self._count)], np.int32)

    def _index(self) -> None:
        """The newest sketches become a run."""
        bands = self._bands(self.sketches[self._indexed : self._count])
        numbers = np.repeat(np.arange(self._indexed, self._count, dtype=np.int32), bands.shape[1])
        self._indexed = self._count
        run = _sorted(bands.ravel(), numbers)
        while self._runs and len(self._runs[-1].bands) <= len(run.bands):
            older = self._runs.pop()
            run = _sorted(np.concatenate([older.bands, run.bands]), np.concatenate([older.sketches, run.sketches]))
        self._runs.append(run)

    def _bands(self, sketches: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """(sketches, hashes) to a hash of each band, (sketches, bands)."""
        # Multiplications and shifts mix the two hashes of a band with its own salt; uint32 wraps around.
        pairs = sketches.reshape(len(sketches), -1, ROWS)
        mixed = (pairs[:, :, 0] ^ self._salt) * ODD
        mixed = (mixed ^ (mixed >> np.uint32(15)) ^ pairs[:, :, 1]) * ODD
        return np.asarray(mixed ^ (mixed >> np.uint32(13)), np.uint32)


def _sorted(bands: NDArray[np.uint32], sketches: NDArray[np.int32]) -> BandRun:
    order = np.argsort(bands, kind="stable")
    return BandRun(bands[order], sketches[order])
