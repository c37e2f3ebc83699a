"""Examples on disk, in flat arrays, so that a million take no memory: written once (token_writer.py), then mapped.

A folder with `ids.bin` (tokens,) int32, `weights.bin` (tokens,) uint8, codes of `WEIGHT_OF`, `rows.npy` (rows,) with
`ROW`'s fields, `sources.txt` with a line for each row, `about.json`, and `hashes.json` with the files' sizes and
hashes, which older ones lack; where rows have weights, `times.npy` (rows,) int64, how often each is trained on in an
epoch; where answers are compared or rated, `labels.npy` (rows,) int8, 1 for a chosen or good one, 0 for a rejected or
bad one. Example n lies between the ends of n - 1 and n; of a pair the chosen answer comes first, then the rejected one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from gemmalocal.data.examples import Example
from gemmalocal.errors import DatasetError, ModelError
from gemmalocal.files import atomic, hashes
from gemmalocal.files.manifest import sha256
from gemmalocal.records import RowKind

ROW = np.dtype([("end", "<i8"), ("supervised", "<i4"), ("cut", "?"), ("held_out", "?")])
IDS, WEIGHTS, ROWS, SOURCES, ABOUT = "ids.bin", "weights.bin", "rows.npy", "sources.txt", "about.json"
HASHES, FILES, TIMES, LABELS = "hashes.json", "files", "times.npy", "labels.npy"
CHUNK = 1 << 24  # ids that are looked at together
# Of a weight's code: 0 and 1 mean themselves, the others what is between, in steps of 1/255.
WEIGHT_OF = np.array([0, 1, *((code - 1) / 255 for code in range(2, 256))], np.float32)


@dataclass(frozen=True)
class _Rows:
    """What a store says of its rows: `rows` (rows,) has `ROW`'s fields, `labels` (rows,) int8, if they have any."""

    rows: NDArray[np.void]
    kind: RowKind = ""
    labels: NDArray[np.int8] | None = None


class Examples(Sequence[Example]):
    """The `chosen` of a store's examples, read when they are asked for (their sources only by `sources`).

    `chosen` (examples,) int64 are indices into the stored rows. An example's ids come as int32, its weights, codes on
    disk, as float32. Of pairs they are always the chosen answer, the rejected one, the next chosen one, ...: no slice
    and no selection parts two of them.
    """

    def __init__(self, folder: Path, rows: _Rows, chosen: NDArray[np.int64]) -> None:
        self._folder, self._stored, self._rows, self._chosen = folder, rows, rows.rows, chosen
        self.kind = rows.kind
        self._ids = np.memmap(folder / IDS, "<i4", "r")
        self._weights = np.memmap(folder / WEIGHTS, np.uint8, "r")

    def __len__(self) -> int:
        return len(self._chosen)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Examples: ...
    def __getitem__(self, index: int | slice) -> Example | Examples:
        if isinstance(index, slice):
            return self._slice(index)
        row = int(self._chosen[index])
        part = slice(int(self._rows["end"][row - 1]) if row else 0, int(self._rows["end"][row]))
        weights = WEIGHT_OF[self._weights[part]]
        label = None if self._stored.labels is None else bool(self._stored.labels[row])
        return Example(np.array(self._ids[part]), weights, cut=bool(self._rows["cut"][row]), label=label)

    def _slice(self, index: slice) -> Examples:
        """What a slice holds, and of pairs the other answer too."""
        if self.group == 1:
            return self._at(np.arange(len(self))[index])
        numbers = np.unique(np.arange(len(self))[index] // self.group)
        return self._groups_at(numbers[::-1] if (index.step or 1) < 0 else numbers)

    @property
    def group(self) -> int:
        """How many examples stand together: 2 of pairs, else 1."""
        return 2 if self.kind == "pairs" else 1

    @property
    def groups(self) -> int:
        """How many pairs there are; of what is not paired, how many examples."""
        return len(self) // self.group

    @property
    def indices(self) -> NDArray[np.int64]:
        """The number of each example's row in the store, (examples,) int64, without reading any."""
        return self._chosen

    @property
    def labels(self) -> NDArray[np.int8] | None:
        """Of answers that are compared or rated, (examples,) int8: 1 chosen or good, 0 rejected or bad; else None."""
        return None if self._stored.labels is None else self._stored.labels[self._chosen]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each example, (examples,) int64, without reading any."""
        return np.diff(self._rows["end"], prepend=0)[self._chosen]

    @property
    def supervised(self) -> int:
        """Tokens that are learned, of all examples."""
        return int(self._rows["supervised"][self._chosen].sum(dtype=np.int64))

    @property
    def learned(self) -> NDArray[np.int64]:
        """Tokens of each example that are learned, (examples,) int64, without reading any: of a pair, its answers'."""
        return self._rows["supervised"][self._chosen].astype(np.int64)

    @property
    def cut(self) -> int:
        """How many examples were cut."""
        return int(self._rows["cut"][self._chosen].sum())

    def spaced(self, count: int) -> Examples:
        """At most so many of them (or pairs), evenly spaced, so that a file's every part is there."""
        return self if self.groups <= count else self._groups_at(np.arange(count) * self.groups // count)

    def drawn(self, count: int, seed: int) -> Examples:
        """At most so many of them (or pairs), drawn by a seed, in their order; the others are not read."""
        if self.groups <= count:
            return self
        return self._groups_at(np.sort(np.random.default_rng(seed).choice(self.groups, count, replace=False)))

    def repeated(self, times: NDArray[np.int64]) -> Examples:
        """Each of them (or each pair) as often as `times`, (rows,) int64, says of its stored row."""
        return self._groups_at(np.repeat(np.arange(self.groups), times[self._chosen[:: self.group]]))

    def rated(self, good: bool) -> Examples:
        """Of answers that were rated one by one the good ones, or the bad ones; of others all are good."""
        if self.kind != "rated" or self.labels is None:
            return self if good else self[:0]
        return self._at(np.flatnonzero(self.labels == good))

    def _groups_at(self, numbers: NDArray[np.int64]) -> Examples:
        return self._at((numbers[:, None] * self.group + np.arange(self.group)).ravel())

    def _at(self, places: NDArray[np.int64]) -> Examples:
        return self.stored_at(self._chosen[places])

    def stored_at(self, rows: NDArray[np.int64]) -> Examples:
        """The examples of these rows, (examples,) int64, of the same store."""
        return Examples(self._folder, self._stored, rows)

    def sources(self, count: int) -> list[str]:
        """Where the first `count` examples came from."""
        rows = self._chosen[:count].tolist()
        wanted = set(rows)
        with (self._folder / SOURCES).open(encoding="utf-8", errors="replace") as file:
            lines = islice(enumerate(file), max(rows, default=-1) + 1)
            by_row = {row: line.rstrip("\n") for row, line in lines if row in wanted}
        return [by_row[row] for row in rows]


def lengths(examples: Sequence[Example]) -> NDArray[np.int64]:
    """Tokens of each example, (examples,) int64; of those in a store none is read."""
    if isinstance(examples, Examples):
        return examples.lengths
    return np.array([len(example.ids) for example in examples], np.int64)


def exists(folder: Path) -> bool:
    """Whether a store was written; `damage` tells whether it still is whole."""
    return folder.is_dir()


def about(folder: Path) -> dict[str, Any]:
    """What `close` was told about a store; raises `DatasetError` if that is damaged."""
    try:
        content, _ = hashes.unseal((folder / ABOUT).read_text(encoding="utf-8"))
        return {"between": "", "plain": bool(content["plain"]), **content}  # older stores have no between
    except (OSError, ValueError, KeyError) as error:
        raise damaged_store({ABOUT: "is damaged"}) from error


def damaged_store(wrong: dict[str, str], more: str = "") -> DatasetError:
    """What to say of a store that cannot be used."""
    return DatasetError(
        f"The examples of this run are damaged: {hashes.describe(wrong)}.{more}",
        "Begin a new run; its recipe is recipe.yaml in the run's folder.",
    )


def load(folder: Path) -> tuple[Examples, Examples, dict[str, Any]]:
    """The training and the held-out examples of a store, and what the writer was told about them.

    Raises `DatasetError` for one whose files do not fit together; hashes are only looked at by `damage`.
    """
    if wrong := _misfits(folder):
        raise damaged_store(wrong)
    known = about(folder)
    rows: NDArray[np.void] = np.load(folder / ROWS)
    kind: RowKind = known.get("rows", "")
    stored = _Rows(rows, kind, _labels(folder, rows, kind) if kind else None)
    train, held_out = (Examples(folder, stored, np.flatnonzero(rows["held_out"] == side)) for side in (False, True))
    if (times := _times(folder, len(rows))) is not None:
        train = train.repeated(times)
    return train, held_out, known


def _labels(folder: Path, rows: NDArray[np.void], kind: RowKind) -> NDArray[np.int8]:
    """The label of each row, (rows,) int8; of pairs they alternate, and both are on one side."""
    try:
        labels: NDArray[np.int8] = np.load(folder / LABELS, allow_pickle=False)
    except FileNotFoundError as error:
        raise damaged_store({LABELS: "is missing"}) from error
    except (OSError, ValueError, EOFError) as error:
        raise damaged_store({LABELS: "is damaged"}) from error
    fits = labels.shape == rows.shape and labels.dtype == np.int8 and bool(np.isin(labels, (0, 1)).all())
    if fits and kind == "pairs":
        held_out = rows["held_out"]
        fits = not len(rows) % 2 and bool(labels[::2].all() and not labels[1::2].any())
        fits = fits and bool((held_out[::2] == held_out[1::2]).all())
    if not fits:
        raise damaged_store({LABELS: "is damaged"})
    return labels


def _times(folder: Path, rows: int) -> NDArray[np.int64] | None:
    """How often each example is trained on in an epoch, (rows,) int64; None where all are once."""
    try:
        times: NDArray[np.int64] = np.load(folder / TIMES, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        raise damaged_store({TIMES: "is damaged"}) from error
    if times.shape != (rows,) or times.dtype != np.int64 or (rows and int(times.min()) < 0):
        raise damaged_store({TIMES: "is damaged"})
    return times


def damage(folder: Path) -> dict[str, str]:
    """What is wrong with a store, file by file (`is missing`); empty if it is whole."""
    marks, wrong = _marks(folder)
    return wrong | (_misfits(folder) if marks is None else hashes.damage(folder, marks))


def _marks(folder: Path) -> tuple[hashes.FileMarks | None, dict[str, str]]:
    """The sizes and hashes of a store's files, None where they are lost or never were, and what is wrong with them."""
    try:
        _, sealed = hashes.unseal((folder / ABOUT).read_text(encoding="utf-8"))
        wrong = {HASHES: "is missing"} if sealed else {}  # one of before has none
    except (OSError, ValueError):
        wrong = {ABOUT: "is missing" if not (folder / ABOUT).exists() else "is damaged"}
    try:
        record, _ = hashes.unseal((folder / HASHES).read_text(encoding="utf-8"))
        return dict(record[FILES]), {}
    except FileNotFoundError:
        return None, wrong
    except (OSError, ValueError, KeyError, TypeError):
        return None, {HASHES: "is damaged"}


def _misfits(folder: Path) -> dict[str, str]:
    """Files of a store that contradict its rows."""
    try:
        rows = np.load(folder / ROWS, allow_pickle=False)
        ends = np.diff(rows["end"], prepend=0)
        tokens = int(rows["end"][-1]) if len(rows) else 0
    except (OSError, ValueError, EOFError, KeyError, IndexError):
        return {ROWS: "is damaged" if (folder / ROWS).exists() else "is missing"}
    if rows.dtype != ROW or (ends < 0).any():
        return {ROWS: "is damaged"}
    sizes = {IDS: 4 * tokens, WEIGHTS: tokens}
    return {name: why for name, size in sizes.items() if (why := hashes.wrong_size(folder / name, size))}


def is_same_store(rebuilt: Path, folder: Path, wrong: dict[str, str]) -> bool:
    """Whether a store that was `rebuilt` is what `folder` was before its files went `wrong`."""
    marks, rebuilt_marks = _marks(folder)[0], _marks(rebuilt)[0] or {}
    if marks is not None:
        return marks == rebuilt_marks
    return all(
        (folder / name).is_file() and sha256(folder / name) == rebuilt_marks[name][1]
        for name in rebuilt_marks.keys() - wrong
    )


def restore(folder: Path, rebuilt: Path, wrong: dict[str, str]) -> None:
    """Put the files that went `wrong` back from a `rebuilt` store; a kill meanwhile leaves no more damage."""
    for name in wrong:
        (rebuilt / name).replace(folder / name)
    atomic.sync_folder(folder)
    atomic.remove(rebuilt)


def check_ids(folder: Path, vocabulary: int | None) -> None:
    """Raise `ModelError` if a store holds an id that is negative, or not below `vocabulary` (None: not known)."""
    if vocabulary is None or not (folder / IDS).stat().st_size:
        return
    ids = np.memmap(folder / IDS, "<i4", "r")
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        if (smallest := int(part.min())) < 0 or int(part.max()) >= vocabulary:
            raise ModelError(
                f"The rows hold token {smallest if smallest < 0 else int(part.max()):,}, and the model knows "
                f"only those below {vocabulary:,}.",
                "The tokenizer is of another model, or the model has changed. Download it again, with all its files.",
            )
