"""Safetensors files, one tensor at a time: larger models than memory, and bfloat16, which numpy does not know.

The format: eight bytes of header length, a JSON header, the tensors' bytes
(https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gemmalocal.errors import ModelError
from gemmalocal.weights import safe_header

TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "U32": "<u4", "U8": "u1", "I32": "<i4", "F64": "<f8"}
TYPES |= {"BOOL": "?", "I8": "i1", "I16": "<i2", "U16": "<u2", "I64": "<i8", "U64": "<u8", "C64": "<c8"}
FLOATS = ("F32", "F16", "BF16", "F64")
WIDTHS = {"F32": 4, "BF16": 2, "F16": 2}

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Tensor:
    """A tensor that is read when it is asked for; `read` gives it in float32, of that `shape`."""

    name: str
    shape: tuple[int, ...]
    read: Callable[[], Floats]

    @property
    def size(self) -> int:
        """How many numbers."""
        return prod(self.shape)


@dataclass(frozen=True)
class Stored:
    """A tensor in a file, mapped into memory: `raw` has its stored type (bfloat16 as uint16)."""

    name: str
    dtype: str  # as safetensors writes it
    raw: NDArray[Any]

    def floats(self) -> Floats:
        """As float32; raises `ModelError` for what holds no floating-point numbers."""
        if self.dtype == "BF16":
            return widened(self.raw)
        if self.dtype not in FLOATS:
            problem = f"{self.name} is stored as {self.dtype}, not as numbers that can be merged."
            raise ModelError(problem, "Take the model that is not quantized.")
        return self.raw.astype(np.float32)


def stored(folder: Path) -> dict[str, Stored]:
    """All tensors of the safetensors files in a folder, by name; raises `ModelError` for none and for damaged ones."""
    by_name: dict[str, Stored] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name, (dtype, shape, start, end) in safe_header.read(path).items():
            stored_type = np.dtype(TYPES.get(dtype, "u1"))
            count = (end - start) // stored_type.itemsize
            raw = np.memmap(path, stored_type, "r", start, (count,)) if count else np.empty(0, stored_type)
            by_name[name] = Stored(name, dtype, raw.reshape(shape) if count == prod(shape) else raw)  # else bits
    if not by_name:
        raise ModelError(f"{folder} holds no safetensors files.", "Give a folder with config.json and safetensors.")
    return by_name


def write(
    folder: Path, tensors: Sequence[Tensor], dtype: str, progress: Callable[[int, int], None], max_bytes: int
) -> None:
    """Write tensors as `dtype` (F32, BF16 or F16) in files of at most `max_bytes`; several have an index.

    A tensor that is larger goes alone. One at a time is in memory; `progress` is given tensors, done and all.
    """
    plan = _shards(tensors, WIDTHS[dtype], max_bytes)
    file_of_tensor: dict[str, str] = {}
    done = 0
    for number, shard in enumerate(plan, start=1):
        name = "model.safetensors" if len(plan) == 1 else f"model-{number:05d}-of-{len(plan):05d}.safetensors"
        with (folder / name).open("wb") as file:
            file.write(_header(shard, dtype))
            for tensor in shard:
                progress(done, len(tensors))
                file.write(packed(tensor.read(), dtype).tobytes())
                done += 1
        file_of_tensor |= {tensor.name: name for tensor in shard}
    if len(plan) > 1:
        total = sum(tensor.size for tensor in tensors) * WIDTHS[dtype]
        index = {"metadata": {"total_size": total}, "weight_map": file_of_tensor}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2), encoding="utf-8")
    progress(done, len(tensors))


def write_hollow(path: Path, shapes: Mapping[str, tuple[int, ...]], kind: str) -> None:
    """Write a file of tensors of zeros as `kind`; where the file system knows holes, they take no space."""
    tensors = [Tensor(name, shape, lambda: np.empty(0, np.float32)) for name, shape in shapes.items()]
    header = _header(tensors, kind)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + sum(tensor.size for tensor in tensors) * WIDTHS[kind])


def widened(bits: NDArray[np.uint16]) -> Floats:
    """bfloat16, of which numpy knows only the bits, as float32: they are its upper half."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def packed(values: Floats, dtype: str) -> NDArray[Any]:
    """float32 as the numbers of a file; bfloat16 is rounded to the nearest, ties to even."""
    if dtype != "BF16":
        return values.astype(TYPES[dtype])
    # Half of the lower 16 bits is added, one less where the upper half is even, so that ties go to even.
    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(values), 0x7FC0, rounded).astype("<u2")


def _header(shard: Iterable[Tensor], dtype: str) -> bytes:
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for tensor in shard:
        end = start + tensor.size * WIDTHS[dtype]
        entries[tensor.name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(entries).encode()
    # Spaces behind the JSON: the tensors' bytes then begin at a multiple of eight.
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _shards(tensors: Sequence[Tensor], width: int, max_bytes: int) -> list[list[Tensor]]:
    plan: list[list[Tensor]] = [[]]
    filled = 0
    for tensor in tensors:
        if plan[-1] and filled + tensor.size * width > max_bytes:
            plan.append([])
            filled = 0
        plan[-1].append(tensor)
        filled += tensor.size * width
    return plan
