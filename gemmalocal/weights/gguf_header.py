"""The header of a GGUF file, walked once with its bounds before gguf reads it: counts, strings, arrays, tensors.

gguf believes what a file says of itself: an array of 2^60 numbers is counted to its end. Layout:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from math import prod
from pathlib import Path
from typing import Any

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from gemmalocal.errors import ModelError

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY, UINT32 = 8, 9, 4
LEAST_PAIR, LEAST_TENSOR = 13, 25  # bytes of the shortest key with a value, and of the shortest tensor's description
LONGEST_KEY, DIMENSIONS, DEEPEST = 65_535, 4, 2
MOST_VALUES = 1 << 21  # values of all arrays: the largest vocabulary with its merges has 1.3 million
ALIGNMENT, COARSEST = 32, 1 << 20


def check(path: Path) -> None:
    """Raise `ModelError`, which names file and field, for a file whose header does not fit the file."""
    try:
        with path.open("rb") as file:
            if path.stat().st_size < 24:
                raise refused(path, "it is too short")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                _Walk(path, data).check()
    except OSError as error:
        raise refused(path, str(error.strerror or error)) from error


def refused(path: Path, reason: str) -> ModelError:
    """The error of a file that contradicts itself."""
    return ModelError(
        f"{path} cannot be read as GGUF: {reason}.", "It is damaged, or was not copied whole: get it again."
    )


class _Walk:
    """A place in a file that moves on, never beyond the file's end."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path, self._data, self._at, self._values = path, data, 0, 0

    def check(self) -> None:
        """From the magic to the last tensor's last byte."""
        magic = self._take(4, "its magic")
        if magic != b"GGUF":
            raise self._damaged("it does not begin with GGUF")
        # Little-endian: version (uint32), count of tensors and of metadata pairs (uint64 each).
        version, tensors, pairs = struct.unpack("<IQQ", self._take(20, "its counts"))
        if version not in (2, 3):
            raise self._damaged(f"its version is {version}")
        self._check_count(pairs, LEAST_PAIR, "its count of metadata")
        self._check_count(tensors, LEAST_TENSOR, "its count of tensors")
        metadata = dict[str, Any]()
        for number in range(pairs):
            key = self._string(f"key {number}", LONGEST_KEY)
            if key in metadata:
                raise self._damaged(f"{key} is there twice")
            metadata[key] = self._value(key, *struct.unpack("<I", self._take(4, key)))
        self._tensors(tensors, self._alignment(metadata.get("general.alignment", ALIGNMENT)))

    def _alignment(self, value: Any) -> int:
        if type(value) is not int or not 0 < value <= COARSEST or value & (value - 1):
            raise self._damaged(f"general.alignment is {str(value)[:40]}, and must be a power of two")
        return value

    def _tensors(self, count: int, alignment: int) -> None:
        spans = [self._tensor(number) for number in range(count)]
        if len({name for name, *_ in spans}) < count:
            raise self._damaged("a tensor's name is there twice")
        # The tensors' data begins at the next multiple of the alignment; offsets count from there.
        start = -(-self._at // alignment) * alignment
        end = 0
        for name, offset, size in sorted(spans, key=lambda span: span[1:]):
            if offset % alignment:
                raise self._damaged(f"the offset of {name} is {offset:,}, which is not aligned to {alignment}")
            if offset < end:
                raise self._damaged(f"{name} overlaps the tensor before it")
            end = offset + size
            if start + end > len(self._data):
                raise self._damaged(f"{name} ends at {start + end:,}, and the file at {len(self._data):,}")

    def _tensor(self, number: int) -> tuple[str, int, int]:
        """Name, offset and bytes."""
        name = self._string(f"the name of tensor {number}", LONGEST_KEY)
        (dimensions,) = struct.unpack("<I", self._take(4, name))
        if not 0 < dimensions <= DIMENSIONS:
            raise self._damaged(f"{name} has {dimensions} dimensions")
        # The innermost dimension comes first: it is the one whose numbers are packed in blocks.
        shape = struct.unpack(f"<{dimensions}Q", self._take(8 * dimensions, name))
        raw, offset = struct.unpack("<IQ", self._take(12, name))
        try:
            block, size = GGML_QUANT_SIZES[GGMLQuantizationType(raw)]
        except (ValueError, KeyError) as error:
            raise self._damaged(f"{name} is of type {raw}, which does not exist") from error
        if not all(shape) or shape[0] % block:
            raise self._damaged(f"{name} has the shape {list(shape)}, and its type packs {block} numbers")
        return name, offset, prod(shape) // block * size

    def _value(self, key: str, kind: int, depth: int = 0) -> Any:
        """The next value; of an array, None."""
        if kind == STRING:
            return self._string(key)
        if kind in SCALARS:
            width = struct.calcsize(SCALARS[kind])
            return struct.unpack(f"<{SCALARS[kind]}", self._take(width, key))[0]
        if kind != ARRAY or depth == DEEPEST:
            raise self._damaged(f"{key} is of type {kind}, which does not exist")
        inner, length = struct.unpack("<IQ", self._take(12, key))
        width = struct.calcsize(SCALARS[inner]) if inner in SCALARS else {STRING: 8, ARRAY: 12}.get(inner, 0)
        if not width:
            raise self._damaged(f"{key} is an array of type {inner}, which does not exist")
        self._check_count(length, width, f"the length of {key}")
        self._values += length
        if self._values > MOST_VALUES:
            raise self._damaged(f"{key} has {length:,} values, more than any real model")
        if inner in SCALARS:
            self._at += length * width
        elif inner == STRING:
            for _ in range(length):
                self._skip_string(key)
        else:
            for _ in range(length):
                self._value(key, ARRAY, depth + 1)
        return None

    def _skip_string(self, field: str) -> None:
        (length,) = struct.unpack_from("<Q", self._data, self._at) if self._at + 8 <= len(self._data) else (1 << 62,)
        if length > len(self._data) - self._at - 8:
            raise self._damaged(f"a string of {field} goes beyond the file's end")
        self._at += 8 + length

    def _string(self, field: str, longest: int = 1 << 62) -> str:
        (length,) = struct.unpack("<Q", self._take(8, field))
        if length > min(longest, len(self._data) - self._at):
            raise self._damaged(f"the length of {field} is {length:,} bytes")
        try:
            return self._take(length, field).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._damaged(f"{field} is not UTF-8") from error

    def _check_count(self, count: int, width: int, field: str) -> None:
        if count * width > len(self._data) - self._at:
            raise self._damaged(f"{field} is {count:,}, more than the file can hold")

    def _take(self, count: int, field: str) -> bytes:
        if count > len(self._data) - self._at:
            raise self._damaged(f"it ends within {field}")
        self._at += count
        return self._data[self._at - count : self._at]

    def _damaged(self, reason: str) -> ModelError:
        return refused(self._path, reason)
