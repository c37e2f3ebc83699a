"""Rows to records, one at a time, with nothing lost in silence; and which of them are held out."""

from __future__ import annotations

import reprlib
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from gemmalocal.data import sources, uses
from gemmalocal.data.cells import UnusableRow
from gemmalocal.data.findings import Findings
from gemmalocal.data.remarks import NEAR, Remarks
from gemmalocal.data.row_formats import RowFormats
from gemmalocal.data.sources import RowSource, SourceListing
from gemmalocal.documents import splits
from gemmalocal.errors import DatasetError
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.recipe.data_spec import DataSource, DataSpec
from gemmalocal.records import Record, Rejected, RowKind

Mask = NDArray[np.bool_]
SET_ASIDE = 0.1  # of the rows, for a search, where none are held out by their hashes
OFF = 0.2  # of the rows that are to be held out: how many more or fewer there may be


@dataclass
class _SourceEntry:
    """One of the recipe's sources, with what it holds, and how many of its records came."""

    spec: DataSource
    listing: SourceListing
    taken: int = 0  # records to be trained on

    @property
    def sentence(self) -> str:
        """What became of its weight and its limit; "" if it has neither."""
        parts = [f"{counted(self.taken, 'row')} taken"] if self.full else []
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
    `use` is what the rows are for (`uses.used`); None takes them as they are.
    """

    def __init__(
        self, spec: DataSpec, findings: Findings | None = None, side: str = "", use: RowKind | None = ""
    ) -> None:
        self._spec, self._use = spec, use
        self._entries = [_SourceEntry(source, sources.find(source.path)) for source in spec.sources]
        self._sources = [(entry, source) for entry in self._entries for source in entry.listing.sources]
        self._sources.sort(key=lambda pair: not pair[1].held_out)
        if side:
            self._sources = [pair for pair in self._sources if pair[1].held_out == (side == splits.HELD_OUT)]
        self._brings_held_out = any(source.held_out for _, source in self._sources)
        self._brought = 0  # records that were brought as held out
        self._identities, self._near = set[int](), set[int]()
        self._held_out = set[int]()  # identities, and keys of prompts
        self._drawn: Mask | None = None  # which of the records to train on are taken, where they are drawn
        self._numbered = 0  # records to train on that were seen
        self._weights = array("d")  # of the records, in their order
        self.total = sum(source.size for _, source in self._sources)
        self.done = 0  # of `total`, in the sources' own unit
        self._judged = Counter[tuple[RowKind, bool | None]]()  # rows that judge answers, by kind and label
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
        for entry, source in self._sources:
            if source.held_out or not self._is_full(entry):
                limited = self._limited and not source.held_out
                weight = 1 if source.held_out else entry.spec.weight
                for record, key in self._usable(entry, source, start):
                    if not limited or self._takes(entry):
                        self.keys.append(key)
                        self._weights.append(weight)
                        yield record
                    if limited and self._is_full(entry):
                        break
            start += source.size
            self.done = start
            if source.held_out:
                self._brought = len(self.keys)
        if not self.keys:
            raise DatasetError(
                f"{self._spec.name} has no row that can be trained on: {self._why()}.",
                uses.NEEDED.get(self._use or "", "Correct its rows, or name others: data.path."),
            )

    def numbered(self) -> Iterator[tuple[int, int]]:
        """Of each record to train on, limits aside: the number of its source in the recipe, and its key."""
        for entry, source in self._sources:
            for _, key in self._usable(entry, source, 0):
                if not source.held_out:
                    yield self._entries.index(entry), key

    @property
    def _limited(self) -> bool:
        return self._spec.rows is not None or any(entry.spec.rows for entry in self._entries)

    def _takes(self, entry: _SourceEntry) -> bool:
        """Whether the record at hand is one of those that are taken; it is counted."""
        self._numbered += 1
        chosen = self._drawn is None or bool(self._drawn[self._numbered - 1])
        entry.taken += chosen
        return chosen

    def _is_full(self, entry: _SourceEntry) -> bool:
        """Whether no more rows of a source are wanted; those that are drawn may come to the end."""
        if self._drawn is not None:
            return False
        limit, taken = self._spec.rows, sum(entry.taken for entry in self._entries)
        return entry.full or (limit is not None and taken >= limit)

    def _usable(self, entry: _SourceEntry, source: RowSource, start: int) -> Iterator[tuple[Record, int]]:
        """The records of a source with their keys, without duplicates; each row may have its own shape."""
        template = entry.spec.template or self._spec.template
        remarks = Remarks(Findings()) if entry.listing.ours else self._remarks
        reader = RowFormats(self._spec.shape, template, self._spec.merge_turns, remarks, self._use)

        def on_progress(position: int) -> None:
            self.done = start + position

        for row in source.read(on_progress):
            if isinstance(row, Rejected):
                self.findings.reject(row)
                continue
            try:
                record = reader(*row)
                records = (record,) if self._use is None else uses.used(record, self._use)
            except UnusableRow as problem:
                self.findings.reject(Rejected(row[0], str(problem), reprlib.repr(row[1])))
                continue
            if reader.shape not in self.shapes:
                self.shapes.append(reader.shape)
            if record.prompt_turns:
                self._judged[record.kind, record.label] += 1
            for record in records:
                key = record.key
                if not self._is_repeated(record, key, source.held_out):
                    yield record, key

    def _is_repeated(self, record: Record, key: int, held_out: bool) -> bool:
        """Whether an equal record came before, and this one is not to be taken; near copies are told."""
        identity = record.identity
        near = record.near_key if record.prompt_turns else key
        if not held_out and (identity in self._held_out or (record.prompt_turns and key in self._held_out)):
            self.duplicates += 1
            self.leaks += 1
            return True
        if identity in self._identities:
            if self._spec.duplicates == "drop":
                self.duplicates += 1
                return True
        elif near in self._near:
            self.findings.warn(NEAR, record.source, (record.text or record.reply)[:80])
        self._identities.add(identity)
        self._near.add(near)
        if held_out:
            self._held_out.update((identity, key) if record.prompt_turns else (identity,))
        return False

    def held_out(self, used: Mask) -> Mask:
        """Which records are held out, (records,) bool, where only the `used` ones, (records,) bool, became examples."""
        if self._brings_held_out:
            return np.arange(len(used)) < self._brought
        side = np.zeros(len(used), np.bool_)
        side[used] = held_out_mask(np.array(self.keys, np.uint64)[used], self._spec.split)
        return side

    def set_aside(self, held_out: Mask, used: Mask) -> Mask:
        """Which records a search measures with, (records,) bool: about as many as are held out, by the next hashes."""
        side, left = np.zeros(len(used), np.bool_), used & ~held_out
        share = self._spec.split or SET_ASIDE
        side[left] = held_out_mask(np.array(self.keys, np.uint64)[left], min(0.5, share / (1 - share)))
        return side

    def times(self) -> NDArray[np.int64]:
        """How often each record, (records,), is trained on in an epoch: its source's weight, parts by its hash."""
        weights = np.array(self._weights)
        # The lower half of a key, as a number from 0 to 1; the upper half chooses the held-out side.
        share = (np.array(self.keys, np.uint64) & np.uint64(0xFFFFFFFF)) / 2**32
        counted: NDArray[np.int64] = (np.floor(weights) + (share < weights % 1)).astype(np.int64)
        return counted

    def notes(self, odd: bool = True) -> list[str]:
        """What a person should know of the rows that are trained on, as sentences; `odd`: with what may be mistakes."""
        notes = [note for entry in self._entries for note in entry.listing.notes]
        notes += [entry.sentence for entry in self._entries if entry.sentence]
        if self.duplicates:
            leaks = f", {self.leaks} of them because they are held out" if self.leaks else ""
            notes.append(f"{self.duplicates} duplicate {plural(self.duplicates, 'row')} left out{leaks}")
        return notes + list(self._imitated()) + self._remarks.sentences(odd)

    def _imitated(self) -> Iterator[str]:
        """What becomes of judgements where answers are imitated, as sentences."""
        if self._use == "":
            pairs, good, bad = (self._judged[kind] for kind in (("pairs", None), ("rated", True), ("rated", False)))
            if pairs:
                compare = plural(pairs, "row compares", "rows compare")
                yield f"{pairs} {compare} two answers: only the chosen ones are trained on, to be imitated"
            if good + bad:
                rate = plural(good + bad, "row rates", "rows rate")
                yield f"{good + bad} {rate} an answer: only the {good} good ones are trained on, to be imitated"

    def _why(self) -> str:
        return "; ".join(notice.partition(": ")[2] for notice in self.findings.notices()[:3]) or "it is empty"


def drawn(spec: DataSpec) -> Mask:
    """Which of a recipe's records to train on are taken, (records,), by their hashes and its seed; reads them once."""
    unlimited = [source.model_copy(update={"rows": None}) for source in spec.sources]
    source_numbers, keys = array("i"), array("Q")
    for source_number, key in Records(spec.model_copy(update={"path": unlimited, "rows": None})).numbered():
        source_numbers.append(source_number)
        keys.append(key)
    # (records,) uint64: keys mixed with the seed, so that the order of two stays when others join or leave.
    lots = np.random.default_rng(spec.draw_seed).integers(2**63, size=2).astype(np.uint64)
    mixed = (np.array(keys, np.uint64) ^ lots[0]) * (lots[1] | np.uint64(1))
    order = mixed ^ (mixed >> np.uint64(32))
    order *= np.uint64(0x9E3779B97F4A7C15)
    chosen = np.ones(len(order), np.bool_)
    for number, limit in [*((number, source.rows) for number, source in enumerate(spec.sources)), (None, spec.rows)]:
        if limit is not None:
            rows = np.flatnonzero(chosen if number is None else np.array(source_numbers) == number)
            chosen[rows] = False
            chosen[rows[np.argsort(order[rows], kind="stable")[:limit]]] = True
    return chosen


def held_out_mask(keys: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Which records are held out, (records,) bool: a share, by the hash of each, `keys` (records,) uint64.

    Those of a hash below the share, so that a record stays on its side when others join; of few records these may be
    far too many or too few, then the smallest hashes up to a fifth off. Some are on either side, those of one hash on
    the same; of a single record, or of a share of 0, nothing is held out.
    """
    if not share or len(np.unique(keys)) < 2:
        return np.zeros(len(keys), np.bool_)
    below, wanted = int(((keys >> np.uint64(32)) < int(share * 2**32)).sum()), share * len(keys)
    fewest, most = ceil((1 - OFF) * wanted), int((1 + OFF) * wanted)
    number = min(max(below, fewest), most) if fewest <= most else round(wanted)
    held_out: NDArray[np.bool_] = keys < np.sort(keys)[min(max(number, 1), len(keys) - 1)]
    return held_out if held_out.any() else keys == keys.min()
