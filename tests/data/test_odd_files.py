"""Odd files of rows: what is read of each, or the sentence that says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemmalocal.documents import row_readers
from gemmalocal.records import Rejected

BIG = "7" * 4301
HALF, PAIR = r'{"a": "\ud83d"}', r'{"a": "\ud83d\ude00"}'
READ: list[tuple[str, str | bytes, list[str]]] = [  # a file, what it holds, and of each row its column a
    ("nan.json", '[{"a": 1}, {"a": NaN}, {"a": 2}]', ["1", "None", "2"]),
    ("nan.jsonl", '{"a": NaN}\n{"a": -Infinity}\n{"a": 1}', ["None", "None", "1"]),
    (
        "big.json",
        '[{"a": 9223372036854775808}, {"a": -18446744073709551617}]',
        ["9223372036854775808", f"-{2**64 + 1}"],
    ),
    ("digits.json", f'[{{"a": {BIG}}}, {{"a": 1}}]', [BIG, "1"]),
    ("digits.jsonl", f'{{"a": {BIG}}}\n{{"a": 1}}', [BIG, "1"]),
    ("written.json", '[{"a": 4.50}, {"a": 1e400}, {"a": 1.5}, {"a": 1E5}]', ["4.50", "1e400", "1.5", "1E5"]),
    ("written.jsonl", '{"a": 0.10}', ["0.10"]),
    ("comma.json", '[{"a": 1}, {"a": 2},]', ["1", "2"]),
    ("empty.json", "[]", []),
    ("bom.json", b'\xef\xbb\xbf[{"a": "\xc3\xa4"}]', ["ä"]),
    ("one.json", '{\n  "a": "x",\n  "text": "y"\n}', ["x"]),
    ("one_line.json", '{"a": "x", "tags": ["y"]}', ["x"]),
    ("chat.json", '{\n"a": 1,\n"messages": [{"role": "user", "content": "x"}]\n}', ["1"]),
    ("sequence.json", '{\n"a": 1\n}\n{\n"a": 2\n}', ["1", "2"]),
    ("lists.json", '{"version": 2, "tags": ["t", "u", "v"], "data": [{"a": 1}, {"a": 2}]}', ["1", "2"]),
    ("objects.json", '{"tags": [{"a": 0}], "data": [{"a": 1}, {"a": 2}]}', ["1", "2"]),
    ("longest.json", '{"people": [{"a": 0}], "places": [{"a": 1}, {"a": 2}]}', ["1", "2"]),
    ("columns.json", '{"a": ["x", "y"], "prompt": ["p", "q"]}', ["x", "y"]),
    ("pandas.json", '{"a": {"0": "x", "1": "y"}, "prompt": {"0": "p", "1": "q"}}', ["x", "y"]),
    ("list.jsonl", '[\n{"a": 1},\n{"a": 2}\n]', ["1", "2"]),
    ("list_in_line.jsonl", '[{"a": 1}, {"a": 2}]', ["1", "2"]),
    ("pretty.jsonl", '{\n  "a": 1\n}\n{\n  "a": 2\n}\n', ["1", "2"]),
    ("lines.json", '{"a": 1}\n{"a": 2}\n', ["1", "2"]),
    ("lines.ndjson", '{"a": 1}\n\n{"a": 2}\n', ["1", "2"]),
    ("windows.jsonl", '{"a": 1}\r\n{"a": 2}\r\n', ["1", "2"]),
    ("old_mac.jsonl", '{"a": 1}\r{"a": 2}\r', ["1", "2"]),
    ("pair.json", f"[{PAIR}]", ["😀"]),
    ("bar.csv", "a|b\n1,5|2\n", ["1,5"]),
    ("semicolon.csv", "a;b\n1,5;2\n", ["1,5"]),
    ("quoted.csv", '"a";"b, c, d"\n1;2\n', ["1"]),
    ("excel.csv", "sep=;\na;b\n1;2\n", ["1"]),
    ("excel_bar.csv", "sep=|\r\na|b\r\n1|2\r\n", ["1"]),
    ("old_mac.csv", "a,b\r1,2\r3,4\r", ["1", "3"]),
    ("index.csv", ",a,b\n0,x,y\n1,z,w\n", ["x", "z"]),
    ("unnamed.csv", "Unnamed: 0,a\n0,x\n", ["x"]),
    ("ends.csv", "a,b,,\nx,y,,\nz,w,,\n", ["x", "z"]),
    ("more.csv", "a,b\nx,y,\n", ["x"]),
    ("above.csv", "\n\na,b\nx,y\n", ["x"]),
    ("one_column.csv", "a\nx\ny\n", ["x", "y"]),
]
TOLD: list[tuple[str, str | bytes, list[str], str]] = [  # the same, and what is said of the row that is not read
    ("stray.json", '[{"a": 1}}, {"a": 2}]', ["1", "2"], "stray.json:1 is not JSON"),
    ("behind.json", '[{"a": 1}, {"a": 2}]]', ["1", "2"], "behind.json:1 is not JSON"),
    ("oops.json", '[{"a": 1}, {"a": oops}, {"a": 2}]', ["1", "2"], "oops.json:1 is not JSON: Expecting value"),
    ("quote.json", '[{"a": 1},{"a": "un},{"a": 2},{"a": 3}]', ["1", "2", "3"], "quote.json:1 is not JSON"),
    ("lines.json", '[\n {"a": 1},\n {"a": "un},\n {"a": 2}\n]', ["1", "2"], "lines.json:3 is not JSON"),
    ("cut.json", '[{"a": 1}, {"a": 2}, {"a"', ["1", "2"], "cut.json:1 is not JSON: the file ends within it"),
    ("open.json", '[{"a": 1}, {"a": 2}', ["1", "2"], "the file ends before its list does"),
    ("lost.json", '[{"a": 1}, {"a": [', ["1"], "from there on, 7 B, nothing was read (1 before it were)"),
    ("half.json", f'[{HALF}, {PAIR}]', ["😀"], "half.json:1 has half a character: a lone surrogate"),
    ("half.jsonl", f'{HALF}\n{PAIR}', ["😀"], "half.jsonl:1 has half a character: a lone surrogate"),
    ("bytes.json", b'[{"a": "\xff"}, {"a": 2}]', ["2"], "is not UTF-8 text (save it as UTF-8): it has the byte 0xff"),
    ("text.json", '["x", {"a": 2}]', ["2"], "text.json#1 is not an object with named columns: it is text"),
    ("number.json", "5", [], "number.json#1 is not an object with named columns: it is a number"),
    ("blank.json", " \n\t", [], "blank.json is empty: there is no JSON in it"),
    ("null.json", "null", [], "it is null"),
    ("deep.json", '[{"a": 1}, ' + "[" * 100_000, ["1"], "nested too deeply; from there on, 100 kB"),
    ("deep.jsonl", '{"a": 1}\n' + "[" * 100_000 + '\n{"a": 2}', ["1", "2"], "deep.jsonl:2 is not JSON that can be"),
    ("closed.json", f'[{{"a": {"[" * 20_000}{"]" * 20_000}}}, {{"a": 2}}]', ["2"], "nested too deeply"),
    ("long.json", '[{"a": "' + "x" * (17 << 20) + '"}, {"a": 2}]', ["2"], "long.json:1 is longer than 8 MB"),
    ("title.csv", "My list\na,b\n1,2\n3,4\n5,6\n", ["1", "3", "5"], "title.csv:1 is a title above the header"),
    ("title.csv", "My list;;\na;b;c\n1;2;3\n3;4;5\n", ["1", "3"], "is a title above the header"),
    ("short.csv", "a,b\n1\n2,3\n", ["2"], "short.csv:2 does not have the 2 columns that the header names: it has 1"),
    ("utf16.jsonl", '{"a": 1}'.encode("utf-16"), [], "it looks like UTF-16"),
]  # fmt: skip


def read(file: Path, content: str | bytes) -> tuple[list[str], list[str]]:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    values_read = list(row_readers.read(file, lambda place: None))
    reasons = [f"{row.source} {row.reason}" for row in values_read if isinstance(row, Rejected)]
    return [str(row[1]["a"]) for row in values_read if not isinstance(row, Rejected)], reasons


@pytest.mark.parametrize(("name", "content", "values"), READ, ids=[name for name, _, _ in READ])
def test_what_is_read(tmp_path: Path, name: str, content: str | bytes, values: list[str]) -> None:
    assert read(tmp_path / name, content) == (values, [])


@pytest.mark.parametrize(("name", "content", "values", "says"), TOLD, ids=[name for name, _, _, _ in TOLD])
def test_what_is_not_read_is_told(
    tmp_path: Path, name: str, content: str | bytes, values: list[str], says: str
) -> None:
    values_read, reasons = read(tmp_path / name, content)
    assert values_read == values
    assert len(reasons) == 1
    assert says in reasons[0]


def test_a_window_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gemmalocal.documents import json_values

    rows_of = ", ".join(f'{{"a": "{"é" * (n % 7)}{n}", "b": [{n}, "}}]"]}}' for n in range(60))
    whole = read(tmp_path / "w.json", f"[{rows_of}]")
    broken = f"[{rows_of}]".replace('"b": [30', '"b": [oops')
    for size in (1, 2, 3, 7, 64):
        monkeypatch.setattr(json_values, "BLOCK", size)
        assert read(tmp_path / "w.json", f"[{rows_of}]") == whole
        values_read, reasons = read(tmp_path / "w.json", broken)
        assert values_read == whole[0][:30] + whole[0][31:]
        assert len(reasons) == 1
