"""Rows to records, one at a time, with nothing lost in silence; and which of them are held out."""

from __future__ import annotations

import reprlib
from array import array
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gemmalocal.data import shapes, sources
from gemmalocal.data.findings import Findings
from gemmalocal.data.shapes import Unusable
from gemmalocal.data.sources import Source
from gemmalocal.documents.rows import Row
from gemmalocal.errors import DatasetError
from gemmalocal.recipe import DataSpec
from gemmalocal.records import Record, Rejected


class Records:
    """The records of a recipe's data section, to be iterated once; holds of each row only the hash.

    What a folder brings as held-out rows comes first, so that it keeps its duplicates. Raises `DatasetError` at
    once if there is nothing to read, and at the end if no row was a record.
    """

    def __init__(self, spec: DataSpec, findings: Findings | None = None) -> None:
        self._spec = spec
        self._held_out = sources.held_out(spec.path)
        self._brought = 0  # records that were brought as held out
        self._sources = [*self._held_out, *sources.find(spec.path)]
        self._seen: set[int] = set()
        self.total = sum(source.size for source in self._sources)
        self.done = 0  # of `total`, in the sources' own unit
        self.shapes: list[str] = []
        self.findings = findings if findings is not None else Findings()
        self.duplicates = 0
        self.keys = array("Q")  # of the records, in their order

    def __iter__(self) -> Iterator[Record]:
        start = 0
        for source in self._sources:
            yield from self._records(source, start)
            start += source.size
            self.done = start
            if source in self._held_out:
                self._brought = len(self.keys)
        if not self.keys:
            raise DatasetError(f"{self._spec.path} has no row that can be trained on: {self._why()}.")

    def _records(self, source: Source, start: int) -> Iterator[Record]:
        reader: shapes.Reader | None = None

        def at(place: int) -> None:
            self.done = start + place

        for row in source.read(at):
            if isinstance(row, Rejected):
                self.findings.reject(row)
                continue
            try:
                reader = reader or self._reader(row)
                record = reader(*row)
                key = record.key
            except Unusable as problem:
                self.findings.reject(Rejected(row[0], str(problem), reprlib.repr(row[1])))
                continue
            if key in self._seen:
                self.duplicates += 1
                continue
            self._seen.add(key)
            self.keys.append(key)
            yield record

    def held_out(self, used: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which records are held out, (records,), where only the `used` ones, (records,), became examples."""
        if self._held_out:
            return np.arange(len(used)) < self._brought
        side = np.zeros(len(used), np.bool_)
        side[used] = sides(np.array(self.keys, np.uint64)[used], self._spec.split)
        return side

    def _reader(self, row: Row) -> shapes.Reader:
        """The reader for the source that a row begins; each file of a folder may have its own shape."""
        spec = self._spec
        shape = "template" if spec.template else shapes.detect(row[1]) if spec.shape == "auto" else spec.shape
        if shape not in self.shapes:
            self.shapes.append(shape)
        return shapes.reader(shape, spec.template)

    def _why(self) -> str:
        return "; ".join(notice.partition(": ")[2] for notice in self.findings.notices()[:3]) or "it is empty"


def sides(keys: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Which records are held out: a share, by their hash, so that a record never changes sides.

    Where that leaves a side empty, the one with the smallest hash is held out; of a single record, or of a share of
    0, nothing is.
    """
    if not share or len(np.unique(keys)) < 2:
        return np.zeros(len(keys), np.bool_)
    held_out = (keys >> np.uint64(32)) < int(share * 2**32)
    return held_out if held_out.any() and not held_out.all() else keys == keys.min()
