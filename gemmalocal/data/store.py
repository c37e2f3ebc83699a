"""Examples on disk, in flat arrays, so that a million of them take no memory: written once, then mapped.

A folder with `ids.bin` (tokens,) int32, `weights.bin` (tokens,) uint8, 0 or 1, `rows.npy` (rows,) with `ROW`'s
fields, `sources.txt` with a line for each row, and `about.json`. Example n lies between the ends of n - 1 and n.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from gemmalocal import atomic
from gemmalocal.data.examples import Example

ROW = np.dtype([("end", "<i8"), ("supervised", "<i4"), ("cut", "?"), ("held_out", "?")])
IDS, WEIGHTS, ROWS, SOURCES, ABOUT = "ids.bin", "weights.bin", "rows.npy", "sources.txt", "about.json"


class Examples(Sequence[Example]):
    """The `chosen` of a store's examples, read when they are asked for (their sources only by `sources`)."""

    def __init__(self, folder: Path, rows: NDArray[np.void], chosen: NDArray[np.int64]) -> None:
        self._folder, self._rows, self._chosen = folder, rows, chosen
        self._ids = np.memmap(folder / IDS, "<i4", "r")
        self._weights = np.memmap(folder / WEIGHTS, np.uint8, "r")

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, place: int) -> Example: ...
    @overload
    def __getitem__(self, place: slice) -> Examples: ...
    def __getitem__(self, place: int | slice) -> Example | Examples:
        if isinstance(place, slice):
            return Examples(self._folder, self._rows, self._chosen[place])
        row = int(self._chosen[place])
        part = slice(int(self._rows["end"][row - 1]) if row else 0, int(self._rows["end"][row]))
        weights = self._weights[part].astype(np.float32)
        return Example(np.array(self._ids[part]), weights, cut=bool(self._rows["cut"][row]))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each example, without reading any."""
        return np.diff(self._rows["end"], prepend=0)[self._chosen]

    @property
    def supervised(self) -> int:
        """Tokens that are learned, of all examples."""
        return int(self._rows["supervised"][self._chosen].sum(dtype=np.int64))

    @property
    def cut(self) -> int:
        """How many examples were cut."""
        return int(self._rows["cut"][self._chosen].sum())

    def spaced(self, most: int) -> Examples:
        """At most so many of them, evenly spaced, so that a file's every part is there."""
        if len(self) <= most:
            return self
        places = np.arange(most) * len(self) // most
        return Examples(self._folder, self._rows, self._chosen[places])

    def sources(self, count: int) -> list[str]:
        """Where the first `count` examples came from."""
        wanted = self._chosen[:count].tolist()
        with (self._folder / SOURCES).open(encoding="utf-8") as file:
            lines = list(islice(file, max(wanted, default=-1) + 1))
        return [lines[row].rstrip("\n") for row in wanted]


def lengths(examples: Sequence[Example]) -> NDArray[np.int64]:
    """Tokens of each example; of those in a store none is read."""
    if isinstance(examples, Examples):
        return examples.lengths
    return np.array([len(example.ids) for example in examples], np.int64)


class Writer:
    """Takes examples one by one; `close` decides their sides."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ids, self._weights = (folder / IDS).open("wb"), (folder / WEIGHTS).open("wb")
        self._sources = (folder / SOURCES).open("w", encoding="utf-8")
        self._ends, self._supervised, self._cut, self._end = array("q"), array("i"), array("b"), 0

    def add(self, example: Example) -> None:
        """Append one example."""
        self._ids.write(example.ids.astype("<i4", copy=False).tobytes())
        self._weights.write(example.weights.astype(np.uint8).tobytes())
        self._sources.write(example.source.replace("\n", " ") + "\n")
        self._end += len(example.ids)
        self._ends.append(self._end)
        self._supervised.append(example.supervised)
        self._cut.append(example.cut)

    def close(self, held_out: NDArray[np.bool_], about: dict[str, Any]) -> None:
        """Write which of the examples are held out, (rows,), and what else is to be known of them."""
        for file in (self._ids, self._weights, self._sources):
            file.close()
        rows = np.empty(len(self._ends), ROW)
        rows["end"], rows["supervised"], rows["cut"] = self._ends, self._supervised, self._cut
        rows["held_out"] = held_out
        np.save(self._folder / ROWS, rows)
        (self._folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")


@contextmanager
def writing(folder: Path) -> Iterator[Writer]:
    """A writer of a store that is whole or not there."""
    with atomic.new_folder(folder) as aside:
        yield Writer(aside)


def exists(folder: Path) -> bool:
    """Whether a store is there; it is whole then."""
    return (folder / ROWS).is_file()


def about(folder: Path) -> dict[str, Any]:
    """What `close` was told about a store."""
    return {"between": "", **json.loads((folder / ABOUT).read_text(encoding="utf-8"))}  # older stores have none


def load(folder: Path) -> tuple[Examples, Examples, dict[str, Any]]:
    """The training and the held-out examples of a store, and what `close` was told about them."""
    rows = np.load(folder / ROWS)
    train, held_out = (np.flatnonzero(rows["held_out"] == side) for side in (False, True))
    return (
        Examples(folder, rows, train),
        Examples(folder, rows, held_out),
        about(folder),
    )
