"""Rows to records, one at a time, with nothing lost in silence; and which of them are held out."""

from __future__ import annotations

import reprlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gemmalocal.data import sources
from gemmalocal.data.cells import UnusableRow
from gemmalocal.data.findings import Findings
from gemmalocal.data.remarks import NEAR, Remarks
from gemmalocal.data.row_formats import RowFormats
from gemmalocal.data.sources import RowSource, SourceListing
from gemmalocal.documents import splits
from gemmalocal.errors import DatasetError
from gemmalocal.recipe.schema import DataSource, DataSpec
from gemmalocal.records import Record, Rejected

Mask = NDArray[np.bool_]


@dataclass
class _Place:
    """One of the recipe's places, with what it holds, and how many of its records came."""

    spec: DataSource
    found: SourceListing
    taken: int = 0  # records to be trained on

    @property
    def sentence(self) -> str:
        """What became of its weight and its limit; "" if it has neither."""
        parts = [f"{self.taken} rows taken"] if self.full else []
        parts += [f"each {self.spec.weight:g} times in an epoch"] if self.spec.weight != 1 else []
        return f"{self.spec.path}: {', '.join(parts)}" if parts else ""

    @property
    def full(self) -> bool:
        """Whether no more rows of it are wanted."""
        return self.spec.rows is not None and self.taken >= self.spec.rows


class Records:
    """The records of a recipe's data section, to be iterated once; holds of each row only hashes.

    What comes as held-out rows is read first, so that none of them is trained on. Raises `DatasetError` at once if
    there is nothing to read, and at the end if no row was a record. `side` reads one alone (`TRAIN`, `HELD_OUT`).
    """

    def __init__(self, spec: DataSpec, findings: Findings | None = None, side: str = "") -> None:
        self._spec = spec
        self._places = [_Place(place, sources.find(place.path)) for place in spec.sources]
        self._sources = [(place, source) for place in self._places for source in place.found.sources]
        self._sources.sort(key=lambda pair: not pair[1].held_out)
        if side:
            self._sources = [pair for pair in self._sources if pair[1].held_out == (side == splits.HELD_OUT)]
        self._brings_held_out = any(source.held_out for _, source in self._sources)
        self._brought = 0  # records that were brought as held out
        self._identities, self._near = set[int](), set[int]()
        self._held_out = set[int]()  # identities
        self._drawn: Mask | None = None  # which of the records to train on are taken, where they are drawn
        self._numbered = 0  # records to train on that were seen
        self._weights = array("d")  # of the records, in their order
        self.total = sum(source.size for _, source in self._sources)
        self.done = 0  # of `total`, in the sources' own unit
        self.shapes: list[str] = []
        self.findings = findings if findings is not None else Findings()
        self._remarks = Remarks(self.findings)
        self.duplicates = 0
        self.leaks = 0  # of these, rows to train on that were brought as held out too
        self.keys = array("Q")  # of the records, in their order

    def __iter__(self) -> Iterator[Record]:
        if self._spec.draw == "random" and self._limited:
            self._drawn = drawn(self._spec)
        start = 0
        for place, source in self._sources:
            if source.held_out or not self._enough(place):
                limited = self._limited and not source.held_out
                weight = 1 if source.held_out else place.spec.weight
                for record, key in self._usable(place, source, start):
                    if not limited or self._taken(place):
                        self.keys.append(key)
                        self._weights.append(weight)
                        yield record
                    if limited and self._enough(place):
                        break
            start += source.size
            self.done = start
            if source.held_out:
                self._brought = len(self.keys)
        if not self.keys:
            raise DatasetError(f"{self._spec.name} has no row that can be trained on: {self._why()}.")

    def numbered(self) -> Iterator[tuple[int, int]]:
        """Of each record to train on, limits aside: the number of its place, and its key."""
        for place, source in self._sources:
            for _, key in self._usable(place, source, 0):
                if not source.held_out:
                    yield self._places.index(place), key

    @property
    def _limited(self) -> bool:
        return self._spec.rows is not None or any(place.spec.rows for place in self._places)

    def _taken(self, place: _Place) -> bool:
        """Whether the record at hand is one of those that are taken; it is counted."""
        self._numbered += 1
        chosen = self._drawn is None or bool(self._drawn[self._numbered - 1])
        place.taken += chosen
        return chosen

    def _enough(self, place: _Place) -> bool:
        """Whether no more rows of a place are wanted; those that are drawn may come to the end."""
        if self._drawn is not None:
            return False
        limit, taken = self._spec.rows, sum(each.taken for each in self._places)
        return place.full or (limit is not None and taken >= limit)

    def _usable(self, place: _Place, source: RowSource, start: int) -> Iterator[tuple[Record, int]]:
        """The records of a source with their keys, without duplicates; each row may have its own shape."""
        template = place.spec.template or self._spec.template
        remarks = Remarks(Findings()) if place.found.ours else self._remarks
        reader = RowFormats(self._spec.shape, template, self._spec.merge_turns, remarks)

        def at(where: int) -> None:
            self.done = start + where

        for row in source.read(at):
            if isinstance(row, Rejected):
                self.findings.reject(row)
                continue
            try:
                record = reader(*row)
            except UnusableRow as problem:
                self.findings.reject(Rejected(row[0], str(problem), reprlib.repr(row[1])))
                continue
            if reader.shape not in self.shapes:
                self.shapes.append(reader.shape)
            key = record.key
            if not self._known(record, key, source.held_out):
                yield record, key

    def _known(self, record: Record, key: int, held_out: bool) -> bool:
        """Whether an equal record came before, and this one is not to be taken; near copies are told."""
        identity = record.identity
        if identity in self._held_out and not held_out:
            self.duplicates += 1
            self.leaks += 1
            return True
        if identity in self._identities:
            if self._spec.duplicates == "drop":
                self.duplicates += 1
                return True
        elif key in self._near:
            self.findings.warn(NEAR, record.source, (record.text or record.reply)[:80])
        self._identities.add(identity)
        self._near.add(key)
        if held_out:
            self._held_out.add(identity)
        return False

    def held_out(self, used: Mask) -> Mask:
        """Which records are held out, (records,), where only the `used` ones, (records,), became examples."""
        if self._brings_held_out:
            return np.arange(len(used)) < self._brought
        side = np.zeros(len(used), np.bool_)
        side[used] = sides(np.array(self.keys, np.uint64)[used], self._spec.split)
        return side

    def times(self) -> NDArray[np.int64]:
        """How often each record, (records,), is trained on in an epoch: its place's weight, parts of it by its hash."""
        weights = np.array(self._weights)
        share = (np.array(self.keys, np.uint64) & np.uint64(0xFFFFFFFF)) / 2**32
        counted: NDArray[np.int64] = (np.floor(weights) + (share < weights % 1)).astype(np.int64)
        return counted

    def notes(self, odd: bool = True) -> list[str]:
        """What a person should know of the rows that are trained on, as sentences; `odd`: with what may be mistakes."""
        told = [note for place in self._places for note in place.found.notes]
        told += [place.sentence for place in self._places if place.sentence]
        if self.duplicates:
            leaks = f", {self.leaks} of them since they are held out" if self.leaks else ""
            told.append(f"{self.duplicates} duplicate rows left out{leaks}")
        return told + self._remarks.sentences(odd)

    def _why(self) -> str:
        return "; ".join(notice.partition(": ")[2] for notice in self.findings.notices()[:3]) or "it is empty"


def drawn(spec: DataSpec) -> Mask:
    """Which of a recipe's records to train on are taken, (records,), by their hashes and its seed; reads them once."""
    unlimited = [place.model_copy(update={"rows": None}) for place in spec.sources]
    places, keys = array("i"), array("Q")
    for place, key in Records(spec.model_copy(update={"path": unlimited, "rows": None})).numbered():
        places.append(place)
        keys.append(key)
    lots = np.random.default_rng(spec.draw_seed).integers(2**63, size=2).astype(np.uint64)
    mixed = (np.array(keys, np.uint64) ^ lots[0]) * (lots[1] | np.uint64(1))
    order = mixed ^ (mixed >> np.uint64(32))
    order *= np.uint64(0x9E3779B97F4A7C15)
    chosen = np.ones(len(order), np.bool_)
    for number, limit in [*((number, place.rows) for number, place in enumerate(spec.sources)), (None, spec.rows)]:
        if limit is not None:
            rows = np.flatnonzero(chosen if number is None else np.array(places) == number)
            chosen[rows] = False
            chosen[rows[np.argsort(order[rows], kind="stable")[:limit]]] = True
    return chosen


def sides(keys: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Which records are held out: a share, by their hash, so that a record never changes sides.

    Where that leaves a side empty, the one with the smallest hash is held out; of a single record, or of a share of
    0, nothing is.
    """
    if not share or len(np.unique(keys)) < 2:
        return np.zeros(len(keys), np.bool_)
    held_out = (keys >> np.uint64(32)) < int(share * 2**32)
    return held_out if held_out.any() and not held_out.all() else keys == keys.min()
