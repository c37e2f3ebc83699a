"""The header of a safetensors file, held against the file before anything of it is read or mapped.

Eight bytes of header length, a JSON header, the tensors' bytes without gaps (https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
import os
import struct
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from gemmalocal.errors import ModelError

LARGEST = 100_000_000  # bytes of a header, as safetensors itself has it
DIMENSIONS = 16
DAMAGED_HINT = "The file is damaged, or was not copied whole: get it again (gemmalocal fetch, if it is the Hub's)."
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
}  # fmt: skip


class TensorEntry(NamedTuple):
    """A tensor: its type as the format names it (`BF16`), its shape, and its bytes' begin and end in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read(path: Path) -> dict[str, TensorEntry]:
    """The tensors of a file by name, in the order of their bytes; raises `ModelError` naming file and field."""
    try:
        with path.open("rb") as file:
            file_size = os.fstat(file.fileno()).st_size
            length = _length(path, file.read(8), file_size)
            text = file.read(length)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}", DAMAGED_HINT) from error
    entries = [_entry(path, name, fields, 8 + length) for name, fields in _parsed(path, text).items()]
    by_bytes = dict(sorted(entries, key=lambda named: (named[1].start, named[1].end)))
    return _contiguous(path, by_bytes, 8 + length, file_size)


def damaged(path: Path, problem: str) -> ModelError:
    """The error of a file of weights that contradicts itself; `problem` is a sentence without its full stop."""
    return ModelError(f"{path} is damaged: {problem}.", DAMAGED_HINT)


def _length(path: Path, prefix: bytes, file_size: int) -> int:
    if len(prefix) < 8:
        raise damaged(path, f"it has {file_size} bytes, too few for a header")
    (length,) = struct.unpack("<Q", prefix)
    if length > min(file_size - 8, LARGEST):
        raise damaged(path, f"its header length says {length:,} bytes, and the file has {file_size:,}")
    return int(length)


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"its header is not JSON ({str(error)[:80]})") from error
    if not isinstance(header, dict):
        raise damaged(path, "its header is not a JSON object")
    header.pop("__metadata__", None)
    return header


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} is there twice")
    return values


def _entry(path: Path, name: str, fields: Any, data_start: int) -> tuple[str, TensorEntry]:
    dtype, shape, offsets = (fields.get(key) if isinstance(fields, dict) else None for key in KEYS)
    if not isinstance(dtype, str) or dtype not in BITS:
        raise damaged(path, f"dtype of {name} is {str(dtype)[:20]!r}, which does not exist")
    if not (isinstance(shape, list) and len(shape) <= DIMENSIONS and all(map(_is_count, shape))):
        raise damaged(path, f"shape of {name} is {str(shape)[:40]}")
    if not (isinstance(offsets, list) and len(offsets) == 2 and all(map(_is_count, offsets))):
        raise damaged(path, f"data_offsets of {name} are {str(offsets)[:40]}")
    # Offsets are in bytes from the header's end; sub-byte types are packed, so bits are rounded up to bytes.
    start, end = offsets
    needed = -(-prod(shape) * BITS[dtype] // 8)
    if end - start != needed:
        raise damaged(
            path,
            f"data_offsets of {name} hold {end - start:,} bytes, and its shape {shape} of {dtype} takes {needed:,}",
        )
    return name, TensorEntry(dtype, tuple(shape), data_start + start, data_start + end)


KEYS = ("dtype", "shape", "data_offsets")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _contiguous(path: Path, entries: dict[str, TensorEntry], data_start: int, file_size: int) -> dict[str, TensorEntry]:
    """The entries, if they fill the file without a gap and without an overlap."""
    end = data_start
    for name, entry in entries.items():
        if entry.start != end:
            problem = "overlap what is before it" if entry.start < end else "leave a gap before it"
            raise damaged(path, f"data_offsets of {name} {problem}")
        end = entry.end
    if end > file_size:
        raise damaged(path, f"its tensors take {end:,} bytes, and the file has {file_size:,}")
    if end < file_size:
        raise damaged(path, f"it has {file_size - end:,} bytes after its last tensor")
    return entries
