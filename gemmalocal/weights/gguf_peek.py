"""The first metadata of a GGUF file, read without its vocabulary or tensors.

`gguf.GGUFReader` parses a quarter of a million tokens before it answers; a list of models only asks for the
architecture. Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

from gemmalocal.files import safe_read

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
MOST_STRINGS = 1 << 22  # strings of an array that are believed
LONGEST = 1 << 20  # bytes of a key or a value that is believed


def architecture(path: Path) -> str | None:
    """`general.architecture` of a GGUF file; None for what is no GGUF or is damaged."""
    try:
        with safe_read.regular(path) as file:
            if file.read(4) != b"GGUF":
                return None
            _version, _tensors, count = struct.unpack("<IQQ", file.read(20))
            for _ in range(count):
                key, value = _string(file), _value(file)
                if key == "general.architecture":
                    return str(value)
    except (OSError, struct.error, ValueError, KeyError, OverflowError):
        return None
    return None


def _value(file: BinaryIO) -> Any:
    """The next value; an array is passed over and gives None."""
    (kind,) = struct.unpack("<I", file.read(4))
    if kind == STRING:
        return _string(file)
    if kind != ARRAY:
        return struct.unpack(f"<{SCALARS[kind]}", file.read(struct.calcsize(SCALARS[kind])))[0]
    inner, length = struct.unpack("<IQ", file.read(12))
    if inner == STRING:
        if length > MOST_STRINGS:
            raise ValueError("more strings than any real vocabulary has")
        for _ in range(length):
            _string(file)
    else:
        file.seek(length * struct.calcsize(SCALARS[inner]), 1)
    return None


def _string(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > LONGEST:
        raise ValueError("a string longer than any real one")
    return file.read(length).decode("utf-8")
