"""MLX's own printout of a graph, with shapes and types, which its Python does not have.

`mlx::core::print_graph` is in MLX's library; it is called as C++ calls it on Linux. Python's `export_to_dot` knows no
shapes, and `export_function` refuses fused operations and custom functions. So this is for the versions and systems
that it was tried on alone: elsewhere nothing is printed, and bytes are not counted.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import mlx.core as mx

TRIED = ("0.32.",)  # MLX's versions
SYMBOL = "_ZN3mlx4core11print_graphERSoNS0_9NodeNamerERKSt6vectorINS0_5arrayESaIS4_EE"
FLUSH, STANDARD_OUTPUT = "_ZNSo5flushEv", "_ZSt4cout"
ARRAY = 16  # bytes of a C++ array: a shared pointer
HEAD = 16  # bytes of a Python object before nanobind's offset of the C++ object in it


class _Names(ctypes.Structure):
    """libstdc++'s empty std::unordered_map, in which print_graph keeps the names that it gives."""

    _fields_ = (
        ("buckets", ctypes.c_void_p),
        ("bucket_count", ctypes.c_size_t),
        ("first", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
        ("load", ctypes.c_float),
        ("resize_at", ctypes.c_size_t),
        ("only_bucket", ctypes.c_void_p),
    )


def available() -> bool:
    """Whether `printed` was tried on such a system and MLX."""
    return sys.platform == "linux" and metadata.version("mlx").startswith(TRIED) and hasattr(_library(), SYMBOL)


def printed(arrays: Sequence[mx.array]) -> list[str]:
    """A line of inputs, one of the outputs, one for each operation: `Add A [(4,8), float32], B ... -> C ...`."""
    copies = (ctypes.c_char * (ARRAY * len(arrays)))()
    for index, array in enumerate(arrays):
        offset = ctypes.c_int32.from_address(id(array) + HEAD).value
        ctypes.memmove(ctypes.addressof(copies) + ARRAY * index, id(array) + offset, ARRAY)
    begin = ctypes.addressof(copies)
    vector = (ctypes.c_void_p * 3)(begin, begin + len(copies), begin + len(copies))
    names = _Names(bucket_count=1, load=1.0)
    names.buckets = ctypes.addressof(names) + _Names.only_bucket.offset
    return _captured(vector, names).splitlines()


def _captured(vector: ctypes.Array[ctypes.c_void_p], names: _Names) -> str:
    """What print_graph writes to standard output, which leads into a file meanwhile."""
    standard = ctypes.CDLL("libstdc++.so.6")
    stream = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.in_dll(standard, STANDARD_OUTPUT)))
    sys.stdout.flush()
    with tempfile.TemporaryFile() as file:
        terminal = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            getattr(_library(), SYMBOL)(stream, ctypes.byref(names), ctypes.byref(vector))
            getattr(standard, FLUSH)(stream)
        finally:
            os.dup2(terminal, 1)
            os.close(terminal)
        file.seek(0)
        return file.read().decode()


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(str(Path(mx.__file__).parent / "lib" / "libmlx.so"))
