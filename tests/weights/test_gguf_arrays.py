"""A vocabulary that is read and written as a whole is the one that `gguf` reads and writes value by value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import pytest

from gemmalocal.weights.gguf_arrays import QuickReader, QuickWriter

ARRAYS: dict[str, list[Any]] = {
    "a.texts": ["", "a", "▁ü字", "x" * 300], "b.numbers": [0, -1, 2**31 - 1], "c.scores": [0.5, -1e9, 0.0],
    "d.flags": [True, False], "e.one": ["only"],
}  # fmt: skip


def written(path: Path, kind: type[gguf.GGUFWriter]) -> Path:
    writer = kind(path, "gemma3")
    for name, values in ARRAYS.items():
        writer.add_array(name, values)
    writer.add_string("z.last", "the end")
    writer.add_array("y.bytes", b"bytes")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    return path


def test_the_bytes_are_the_same(tmp_path: Path) -> None:
    ours, theirs = written(tmp_path / "a.gguf", QuickWriter), written(tmp_path / "b.gguf", gguf.GGUFWriter)
    assert ours.read_bytes() == theirs.read_bytes()


def test_the_fields_are_the_same(tmp_path: Path) -> None:
    file = written(tmp_path / "a.gguf", gguf.GGUFWriter)
    ours, theirs = QuickReader(file).fields, gguf.GGUFReader(file).fields
    assert list(ours) == list(theirs)
    for name, field in theirs.items():
        assert ours[name].types == field.types
        assert ours[name].contents() == field.contents()
        assert [ours[name].parts[place].tolist() for place in ours[name].data] == [
            field.parts[place].tolist() for place in field.data
        ]
    for name, values in ARRAYS.items():
        assert ours[name].contents() == values


@pytest.mark.parametrize("name", ["a.texts", "b.numbers", "c.scores"])
def test_an_array_that_the_file_ends_in_is_refused(name: str, tmp_path: Path) -> None:
    content = written(tmp_path / "a.gguf", gguf.GGUFWriter).read_bytes()
    place = content.index(name.encode()) + len(name)
    for end in (place + 13, place + 17, place + 25):
        (tmp_path / "b.gguf").write_bytes(content[:end])
        with pytest.raises((IndexError, ValueError)):
            QuickReader(tmp_path / "b.gguf")
