"""The rows that a screen looks at: as files have them, as a job has read them, and those among them that are sought."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import datasets
from gemmalocal.workspace.dataset_rows import DatasetRow, answer, question

SIDES = {"train": "train", "held_out": "held-out", "rejected": "rejected"}
FILES = {"train": TRAIN_FILE, "held_out": HELD_OUT_FILE, "rejected": datasets.REJECTED}
PAGE = 32  # rows that are asked for at once


class Sought(NamedTuple):
    """Which rows one wants to see: with this text, of this document; empty for any."""

    text: str = ""
    document: str = ""

    def __str__(self) -> str:
        """In words."""
        words = [f'with "{self.text}"'] if self.text else []
        return " ".join(words + ([f"of {Path(self.document).name}"] if self.document else []))


class ShownRows:
    """Filled by a screen: `report` by what a job says of all rows, `files` (by side and line) where rows are ours."""

    def __init__(self) -> None:
        self.report: dict[str, Any] = {}
        self.files: dict[str, dict[int, DatasetRow]] = {}
        self.sought = Sought()
        self.pages: dict[tuple[str, int], dict[str, Any]] = {}  # by side and place
        self._asked: set[tuple[str, int]] = set()  # the first places of what was asked for
        self._places: dict[str, list[int]] = {}  # of what is sought, by side, once it is known
        self._numbers: dict[str, tuple[dict[int, DatasetRow], list[int]]] = {}  # of lines, by side

    def forget(self) -> None:
        """They are read anew."""
        self.pages.clear()
        self._asked.clear()
        self._places.clear()

    def seek(self, sought: Sought) -> None:
        """From now on only these."""
        self.sought = sought
        self._places.clear()

    def found(self, side: str, text: str, places: list[int]) -> None:
        """Where those are that are sought, as a job says; of an older search it is passed over."""
        if text == self.sought.text:
            self._places[side] = places

    def read_by_job(self, side: str) -> bool:
        """Whether rows of a side are shown as a job has read them, else as they are written."""
        return side in self.report

    def unknown(self, side: str) -> bool:
        """Whether a job has still to say where those are that are sought."""
        return self.read_by_job(side) and self.sought != Sought() and side not in self._places

    def all(self, side: str) -> int:
        """How many there are."""
        return int(self.report[side]["rows"]) if self.read_by_job(side) else len(self.files.get(side, ()))

    def total(self, side: str) -> int:
        """How many of them are sought, as far as that is known."""
        return self.all(side) if self.sought == Sought() else len(self._sought_places(side))

    def row(self, side: str, index: int) -> tuple[DatasetRow | None, dict[str, Any] | None]:
        """One of those that are sought: as the dataset has it, if it is ours, and as it is trained, if known."""
        if not self.read_by_job(side):
            return self._written(side, self.place(side, index)), None
        row = self.pages.get((side, self.place(side, index)))
        name, _, line = (row["source"] if row else "").rpartition(":")
        ours = self.files.get(side, {}) if name == FILES[side] else {}
        return ours.get(int(line)) if line.isdigit() else None, row

    def _written(self, side: str, place: int) -> DatasetRow:
        """The row at a place among those of a file; their numbers are listed once, for they may be many."""
        lines = self.files[side]
        if side not in self._numbers or self._numbers[side][0] is not lines:
            self._numbers[side] = lines, list(lines)
        return lines[self._numbers[side][1][place]]

    def place(self, side: str, index: int) -> int:
        """Where one of those that are sought is among all."""
        return index if self.sought == Sought() else self._sought_places(side)[index]

    def missing(self, side: str, first: int, count: int) -> list[tuple[int, int]]:
        """What to ask a job for, as first place and count, so that these can be seen; each is said once."""
        if not self.read_by_job(side):
            return []
        places = [self.place(side, index) for index in range(first, min(first + count, self.total(side)))]
        size = PAGE if self.sought == Sought() else 1
        firsts = dict.fromkeys(place // size * size for place in places)
        wanted = [place for place in firsts if (side, place) not in self._asked and (side, place) not in self.pages]
        self._asked.update((side, place) for place in wanted)
        return [(place, size) for place in wanted]

    def documents(self, side: str) -> Counter[str]:
        """Where the rows of a side are from, and how many each gave; empty where they are not ours."""
        return Counter(str(row["source"]) for row in self.files.get(side, {}).values() if row.get("source"))

    def lines(self, side: str) -> dict[str, list[int]] | None:
        """The lines of the document that is sought, by the file's name; None if any will do."""
        if not self.sought.document:
            return None
        rows = self.files.get(side, {})
        return {FILES[side]: [line for line, row in rows.items() if row.get("source") == self.sought.document]}

    def _sought_places(self, side: str) -> list[int]:
        if self.read_by_job(side):
            return self._places.get(side, [])
        if side not in self._places:
            self._places[side] = [
                place for place, row in enumerate(self.files.get(side, {}).values()) if _fits(row, self.sought)
            ]
        return self._places[side]


def _fits(row: DatasetRow, sought: Sought) -> bool:
    text = f"{question(row) or ''}\n{answer(row)}".casefold()
    return sought.text.casefold() in text and sought.document in ("", row.get("source"))
