"""A GGUF file's arrays, read and written whole: a vocabulary has a million values, which `gguf` takes one by one."""

from __future__ import annotations

import struct
import sys
from typing import Any

import gguf
import numpy as np
from gguf import GGUFValueType as Kind
from numpy.typing import NDArray

NATIVE = "I"  # the reader's word for the byte order of this machine
HEAD, LENGTH = struct.Struct("<IQ"), struct.Struct("<Q")  # an array's kind and count; a text's bytes
PACKED = {float: (Kind.FLOAT32, "<f4"), int: (Kind.INT32, "<i4")}  # as `gguf` chooses them

Parts = tuple[int, list[NDArray[Any]], list[int], list[Kind]]  # bytes; views of the file; which are values; kinds


class QuickReader(gguf.GGUFReader):  # type: ignore[misc]
    """The same fields, but that the lengths of an array's texts are no parts of it."""

    @property
    def data(self) -> NDArray[Any]:
        """The bytes of the file, as a plain array: views of a memmap take thrice as long."""
        return self._data

    @data.setter
    def data(self, mapped: NDArray[Any]) -> None:
        self._data = np.asarray(mapped)

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> Parts:
        if raw_type != Kind.ARRAY or self.byte_order != NATIVE or sys.byteorder != "little":
            parts: Parts = super()._get_field_parts(orig_offs, raw_type)
            return parts
        raw_kind, count = self._get(orig_offs, np.uint32), self._get(orig_offs + 4, np.uint64)
        kind, start = Kind(raw_kind[0]), orig_offs + HEAD.size
        if kind is Kind.STRING:
            end, values = self._texts(start, int(count[0]))
        elif kind in self.gguf_scalar_to_np:
            end, values = self._numbers(start, int(count[0]), np.dtype(self.gguf_scalar_to_np[kind]))
        else:
            parts = super()._get_field_parts(orig_offs, raw_type)
            return parts
        kinds = [Kind.ARRAY, kind] if values else [Kind.ARRAY]
        return end - orig_offs, [raw_kind, count, *values], list(range(2, len(values) + 2)), kinds

    def _texts(self, place: int, count: int) -> tuple[int, list[NDArray[Any]]]:
        """So many texts, each after its length, and where they end; raises `IndexError` at the file's end."""
        data, memory, size = self._data, self._data.data, len(self._data)
        views = list[NDArray[Any]]()
        for _ in range(count):
            start = place + LENGTH.size
            if start > size:
                raise IndexError("the file ends within an array")
            place = start + LENGTH.unpack_from(memory, place)[0]
            if place > size:
                raise IndexError("the file ends within an array")
            views.append(data[start:place])
        return place, views

    def _numbers(self, start: int, count: int, dtype: np.dtype[Any]) -> tuple[int, list[NDArray[Any]]]:
        """So many numbers, each an array of one, and where they end; raises `IndexError` at the file's end."""
        end = start + count * dtype.itemsize
        if end > len(self._data):
            raise IndexError("the file ends within an array")
        return end, list(self._data[start:end].view(dtype).reshape(-1, 1))


class QuickWriter(gguf.GGUFWriter):  # type: ignore[misc]
    """The same bytes."""

    def _pack_val(self, val: Any, vtype: Kind, add_vtype: bool, sub_type: Kind | None = None) -> bytes:
        types = set(map(type, val)) if vtype is Kind.ARRAY and sub_type is None and isinstance(val, list) else set()
        kind = types.pop() if len(types) == 1 else None
        head = struct.pack("<I", Kind.ARRAY) if add_vtype else b""
        if kind is str:
            texts = [text.encode() for text in val]
            body = b"".join(part for text in texts for part in (LENGTH.pack(len(text)), text))
            return head + HEAD.pack(Kind.STRING, len(texts)) + body
        if kind in PACKED:
            packed, dtype = PACKED[kind]
            return head + HEAD.pack(packed, len(val)) + np.array(val, dtype).tobytes()
        plain: bytes = super()._pack_val(val, vtype, add_vtype, sub_type)
        return plain
