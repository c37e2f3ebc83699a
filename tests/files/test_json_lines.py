"""A file of JSON lines keeps what was added, whatever a kill has left at its end."""

from __future__ import annotations

from pathlib import Path

from gemmalocal.files import json_lines


def added(path: Path, *values: object) -> None:
    with json_lines.growing(path) as file:
        json_lines.add(file, values)


def test_what_is_added_behind_a_torn_line_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    assert list(json_lines.stored(path)) == []
    added(path, {"key": "a"}, {"key": "b"})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"key": "c", "answ')
    assert list(json_lines.stored(path)) == [{"key": "a"}, {"key": "b"}]
    assert path.read_bytes() == whole
    added(path, {"key": "d"})
    assert list(json_lines.stored(path)) == [{"key": "a"}, {"key": "b"}, {"key": "d"}]


def test_a_line_that_is_no_json_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"key": "a"}\n\xff\xfe\n' + b"[" * 100_000 + b'\n{"key": "b"}\n')
    assert list(json_lines.stored(path)) == [{"key": "a"}, {"key": "b"}]
