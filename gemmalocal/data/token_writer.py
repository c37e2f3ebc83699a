"""Writes a store of examples (its files: token_store.py), and hashes them as they are written."""

from __future__ import annotations

import hashlib
import io
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gemmalocal.data.examples import Example
from gemmalocal.data.token_store import (
    ABOUT,
    FILES,
    HASHES,
    IDS,
    LABELS,
    ROW,
    ROWS,
    SOURCES,
    TIMES,
    WEIGHTS,
    check_ids,
)
from gemmalocal.files import atomic, hashes


class Writer:
    """Takes examples one by one; `close` decides their sides. Files are hashed as they are written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ids, self._weights, self._sources = (_File(folder / name) for name in (IDS, WEIGHTS, SOURCES))
        self._ends, self._supervised, self._cut, self._end = array("q"), array("i"), array("b"), 0
        self._labels = array("b")

    def add(self, example: Example) -> None:
        """Append one example: its ids as int32, its weights as codes, its source as a line."""
        self._ids.write(example.ids.astype("<i4", copy=False).tobytes())
        self._weights.write(_codes(example.weights).tobytes())
        self._sources.write(example.source.replace("\n", " ").encode(errors="replace") + b"\n")
        self._end += len(example.ids)
        self._ends.append(self._end)
        self._supervised.append(example.supervised)
        self._cut.append(example.cut)
        if example.label is not None:
            self._labels.append(example.label)

    @property
    def labels(self) -> NDArray[np.int8]:
        """Of the examples so far, (rows,) int8; of those without any, (0,)."""
        return np.array(self._labels, np.int8)

    def close(
        self,
        held_out: NDArray[np.bool_],
        about: dict[str, Any],
        vocabulary: int | None = None,
        times: NDArray[np.int64] | None = None,
    ) -> None:
        """Write which of the examples are held out, (rows,) bool, and what else is to be known of them.

        `times`, (rows,) int64, is how often each is trained on in an epoch; once if it is not given.
        Raises `ModelError` for an id that is not below `vocabulary`.
        """
        rows = np.empty(len(self._ends), ROW)
        rows["end"], rows["supervised"], rows["cut"] = self._ends, self._supervised, self._cut
        rows["held_out"] = held_out
        other_files = [
            _File(self._folder / ROWS, _array(rows)),
            _File(self._folder / ABOUT, hashes.seal(about).encode()),
        ]
        other_files += [_File(self._folder / TIMES, _array(times))] if times is not None else []
        if self._labels:
            other_files.append(_File(self._folder / LABELS, _array(self.labels)))
        files = {file.name: file.close() for file in (self._ids, self._weights, self._sources, *other_files)}
        (self._folder / HASHES).write_text(hashes.seal({FILES: files}), encoding="utf-8")
        check_ids(self._folder, vocabulary)


def _codes(weights: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Of weights (tokens,), the nearest code of each; of a small one never that of 0."""
    between = np.clip(np.rint(weights * 255), 1, 254) + 1
    return np.where((weights <= 0) | (weights >= 1), weights.clip(0, 1), between).astype(np.uint8)


def _array(values: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


class _File:
    """A new file that is hashed as it is written."""

    def __init__(self, path: Path, content: bytes = b"") -> None:
        self.name = path.name
        self._file, self._hash, self._bytes = path.open("wb"), hashlib.sha256(), 0
        self.write(content)

    def write(self, block: bytes) -> None:
        self._file.write(block)
        self._hash.update(block)
        self._bytes += len(block)

    def close(self) -> list[Any]:
        """The file's mark."""
        self._file.close()
        return [self._bytes, self._hash.hexdigest()]


@contextmanager
def writing(folder: Path) -> Iterator[Writer]:
    """A writer of a store that is whole or not there."""
    with atomic.new_folder(folder) as aside:
        yield Writer(aside)
