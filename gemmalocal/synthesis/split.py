"""Which passages are held out: whole documents, of those too large whole sections, and near copies on one side.

A document's place in the order is a hash of its text, and those before the share that is wanted are held out, so that
few change sides when others join. Rows are what is counted: where that gives too many or too few, documents are passed
over or taken beyond it; where whole documents cannot meet the share, one after another of the others is divided.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from gemmalocal.jobs.plurals import counted
from gemmalocal.synthesis.piece import Candidate, PassageKey, Piece, passage_key

LOW, HIGH = 0.9, 1.1  # times the rows that are wanted: between them no more is taken, and none beyond
OFF = 0.2  # of the rows that are wanted: what whole documents may miss before one is divided
HALF = 0.5  # of the rows held out a single document should be at most; of few documents this many are held out at most
SEARCHED = 5000  # rows held out up to which the best choice is searched for; of more, whatever is next fits
DOCUMENTS, APART, SECTIONS, PASSAGES = range(4)  # what is kept whole; APART: documents, but for sections they share


class Split(NamedTuple):
    """The places of the passages that are held out, and a sentence on how they were chosen."""

    places: set[PassageKey]
    how: str


def held_out(
    pieces: Sequence[Piece],
    kept: Iterable[Candidate],
    share: float,
    alike: Collection[tuple[PassageKey, PassageKey]] = (),
) -> Split:
    """What to hold out for a `share` of the `kept` rows; passages that are `alike`, two by two, stay together.

    Of a single passage, or of a share of 0, nothing is.
    """
    if not share:
        return Split(set(), "nothing, as asked")
    rows = Counter(passage_key(candidate.piece) for candidate in kept)
    choice = _Choice(pieces, rows, share, alike)
    if not choice.possible:
        return Split(set(), "nothing: all rows are from a single passage" + " and near copies of it" * bool(alike))
    choice.choose()
    places = choice.places()
    return Split(places, _sentence(choice, places))


@dataclass(frozen=True)
class _Unit:
    """Pieces that stay on one side, with the number of their rows; `order` is from 0 to 1, by a hash of its name.

    A `part` is one of a document, which has others.
    """

    name: str
    pieces: tuple[Piece, ...]
    rows: int
    order: float
    part: bool


class _Choice:
    """The units, coarse ones divided where needed, and which of them are held out so far."""

    def __init__(
        self,
        pieces: Sequence[Piece],
        rows: Mapping[PassageKey, int],
        share: float,
        alike: Collection[tuple[PassageKey, PassageKey]],
    ) -> None:
        self.pieces, self.rows, self.share, self.alike = pieces, rows, share, alike
        self.wanted = share * sum(rows.values())
        at = {passage_key(piece): piece for piece in pieces}
        across = [pair for pair in alike if pair[0][0] != pair[1][0]]  # documents
        self._shared = {_section(at[place]) for pair in across for place in pair if place in at}
        self.units = {unit.name: unit for unit in self._divided(pieces, DOCUMENTS)}
        self.taken: dict[str, _Unit] = {}

    @property
    def possible(self) -> bool:
        """Whether both sides can have rows."""
        return sum(unit.rows > 0 for unit in self._divided(self.pieces, PASSAGES)) > 1

    @property
    def number(self) -> int:
        """The rows that are held out so far."""
        return sum(unit.rows for unit in self.taken.values())

    @property
    def near(self) -> bool:
        """Whether this is near enough to what is wanted."""
        return abs(self.number - self.wanted) <= OFF * self.wanted

    def choose(self) -> None:
        """Take whole documents if some of them do; else divide others, and at last take what comes nearest."""
        self._walk(self._pool())
        self._search(self._pool())
        for level in (APART, SECTIONS, PASSAGES):
            for unit in self._untaken():
                if self.near:
                    return
                parts = self._divided(unit.pieces, level)
                if len(parts) > 1:
                    del self.units[unit.name]
                    self.units |= {part.name: part for part in parts}
                    self._walk(sorted(parts, key=lambda part: part.order))
            self._search(self._pool())
        self._search(list(self.units.values()), anyhow=True)

    def places(self) -> set[PassageKey]:
        """Those of the units taken; of units without rows, whose rejected ones have a side too, by their order."""
        without = [unit for unit in self.units.values() if not unit.rows and unit.order < self.share]
        return {passage_key(piece) for unit in [*self.taken.values(), *without] for piece in unit.pieces}

    def _pool(self) -> list[_Unit]:
        """The units that may be taken, in order: not nearly all of the documents, because one is too large."""
        filled = sorted((unit for unit in self.units.values() if unit.rows), key=lambda unit: unit.order)
        documents = [unit for unit in filled if not unit.part]
        most = max(2, ceil(max(HALF, 1.5 * self.share) * len(documents)))
        return documents[:most] + [unit for unit in filled if unit.part]

    def _untaken(self) -> list[_Unit]:
        """What may be divided, in order, but first what is too large to be taken at all."""
        units = [unit for unit in self.units.values() if unit.rows and unit.name not in self.taken]
        return sorted(units, key=lambda unit: (unit.rows <= HIGH * self.wanted, unit.order))

    def _walk(self, ordered: Sequence[_Unit]) -> None:
        """Take units in their order: those before the share, and beyond it until there are enough; large ones last."""
        number = self.number
        for largest in (HALF * self.wanted, HIGH * self.wanted):
            for unit in ordered:
                fits = 0 < unit.rows <= largest and number + unit.rows <= HIGH * self.wanted
                due = unit.order < self.share or number < LOW * self.wanted
                if fits and due and unit.name not in self.taken:
                    self.taken[unit.name] = unit
                    number += unit.rows

    def _search(self, units: Sequence[_Unit], anyhow: bool = False) -> None:
        """Take the units that together come nearest, if that is near enough; `anyhow`: if it is nearer than before."""
        if self.near or self.wanted > SEARCHED:
            return
        before = dict(self.taken)
        best = _nearest(units, self.wanted, sum(self.rows.values()))
        nearer = abs(sum(unit.rows for unit in best) - self.wanted) < abs(self.number - self.wanted)
        self.taken = {unit.name: unit for unit in best}
        if not self.near and not (anyhow and (nearer or not before)):
            self.taken = before

    def _divided(self, pieces: Sequence[Piece], level: int) -> list[_Unit]:
        """The units of some pieces at a level, those joined that have near copies in each other."""
        names = {passage_key(piece): self._unit_name(piece, level) for piece in pieces}
        heads = dict[str, str]()  # a name, and one of those it is joined with
        for one, other in self.alike:
            if one in names and other in names:
                first, second = sorted((_head(heads, names[one]), _head(heads, names[other])))
                if first != second:
                    heads[second] = first
        members = defaultdict[str, list[Piece]](list)
        for piece in pieces:
            members[_head(heads, names[passage_key(piece)])].append(piece)
        return [
            _Unit(name, tuple(own), self._count(own), _order(name), level >= SECTIONS) for name, own in members.items()
        ]

    def _count(self, pieces: Iterable[Piece]) -> int:
        return sum(self.rows.get(passage_key(piece), 0) for piece in pieces)

    def _unit_name(self, piece: Piece, level: int) -> str:
        section = _section(piece)
        if level == PASSAGES:
            return f"{section} {piece.passage.number}"
        return section if level == SECTIONS or (level == APART and section in self._shared) else piece.document


def _section(piece: Piece) -> str:
    return f"{piece.document} {piece.passage.heading}"


def _head(heads: dict[str, str], name: str) -> str:
    """What stands for all that a name is joined with; the way there is made short for the next."""
    head = name
    while head in heads:
        head = heads[head]
    while name != head:
        heads[name], name = head, heads[name]
    return head


def _order(name: str) -> float:
    """A number from 0 to 1 that depends on a name alone."""
    return int(hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8], 16) / 2**32


def _nearest(units: Sequence[_Unit], wanted: float, total: int) -> list[_Unit]:
    """Units whose rows come nearest to what is wanted, but are some and not all; those early in the order if equal."""
    last = dict[int, tuple[_Unit, int]]()  # a sum: the last unit of it, and the sum without that
    most = max(2 * wanted, min((unit.rows for unit in units if unit.rows), default=0))
    for unit in sorted(units, key=lambda unit: unit.order):
        for number in [0, *sorted(last, reverse=True)] if unit.rows else []:
            if number + unit.rows <= most and number + unit.rows not in last:
                last[number + unit.rows] = (unit, number)
    number = min((number for number in last if number < total), key=lambda sum_: (abs(sum_ - wanted), sum_), default=0)
    chosen = []
    while number:
        unit, number = last[number]
        chosen.append(unit)
    return chosen


def _sentence(choice: _Choice, places: set[PassageKey]) -> str:
    """How much is held out of what, and why no nearer, if it is not near."""
    number, total = choice.number, sum(choice.rows.values())
    sides = defaultdict[str, set[bool]](set)  # of each document with rows
    for (document, passage), rows in choice.rows.items():
        if rows:
            sides[document].add((document, passage) in places)
    whole = sum(side == {True} for side in sides.values())
    divided = {document for document, side in sides.items() if len(side) > 1}
    parts = [f"{whole} of {counted(len(sides), 'document')}"] * bool(whole or not divided)
    if divided:
        others = "one" if len(divided) == 1 else f"{len(divided)}"
        what = "the only document" if len(sides) == 1 else f"{others} that could not be held out whole"
        parts.append(f"{_of_parts(choice, places, divided)} of {what}")
    joined = len({name for pair in choice.alike for name in pair})
    kept_together = f", {joined} near copies each on the side of its like" if joined else ""
    off = "" if choice.near else f"; nearer to {choice.share:.0%} it cannot be, as passages are kept whole"
    return f"{number / total:.1%} of the rows: {' and '.join(parts)}{kept_together}{off}"


def _of_parts(choice: _Choice, places: set[PassageKey], divided: set[str]) -> str:
    """How many sections of some documents are held out, or where a section is divided too, how many passages."""
    pieces = [piece for piece in choice.pieces if piece.document in divided and choice.rows.get(passage_key(piece))]
    sides = defaultdict[str, set[bool]](set)
    for piece in pieces:
        sides[_section(piece)].add(passage_key(piece) in places)
    if all(len(side) == 1 for side in sides.values()):
        return f"{sum(side == {True} for side in sides.values())} of {counted(len(sides), 'section')}"
    return f"{sum(passage_key(piece) in places for piece in pieces)} of {counted(len(pieces), 'passage')}"
