"""Broken rows and recipes of every kind: a sentence with its place, the right exit code, and what was fine goes on."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from gemmalocal import cli, worker
from gemmalocal.documents.row_readers import LONGEST
from gemmalocal.jobs import history
from gemmalocal.jobs.event_lines import decode
from gemmalocal.jobs.events import Failed, Report

GOOD = [{"prompt": f"the quote of {letter}:", "completion": " and the quo"} for letter in "abcd"]


def chat(*turns: Any) -> str:
    return json.dumps({"messages": [dict(zip(("role", "content"), t, strict=True)) if t else None for t in turns]})


def lines(*rows: str) -> bytes:
    return "\n".join(rows).encode()


FINE = '{"text": "the fine one"}'
PAIR = '{"prompt": "the", "completion": "fine"}'
# name: file, its bytes, the source that is named, what is said of it, and how many of its rows are fine
ROWS: dict[str, tuple[str, bytes, str, str, int]] = {
    "invalid JSON": ("x.jsonl", lines(FINE, "{oops}"), "x.jsonl:2", "is not JSON", 1),
    "truncated line": ("x.jsonl", lines(FINE, FINE[:-3]), "x.jsonl:2", "is not JSON: Unterminated string", 1),
    "two objects on a line": ("x.jsonl", lines(PAIR + PAIR, FINE), "x.jsonl:1", "is not JSON: Extra data", 1),
    "an array": ("x.jsonl", lines("[1, 2]", FINE), "x.jsonl:1", "is not an object", 1),
    "a number": ("x.jsonl", lines("3", FINE), "x.jsonl:1", "is not an object", 1),
    "null": ("x.jsonl", lines("null", FINE), "x.jsonl:1", "is not an object", 1),
    "too deep": ("x.jsonl", lines("[" * 200_000, FINE), "x.jsonl:1", "is not JSON that can be read", 1),
    "lone surrogate": ("x.jsonl", lines('{"text": "\\ud83d"}', FINE), "x.jsonl:1", "half a character", 1),
    "lone surrogate in a key": ("x.jsonl", lines('{"\\uDEAD": "x"}', FINE), "x.jsonl:1", "half a character", 1),
    "Latin-1": ("x.jsonl", b'{"text": "caf\xe9"}\n' + lines(FINE), "x.jsonl:1", "not UTF-8.*byte 14 is 0xe9", 1),
    "UTF-16": ("x.jsonl", FINE.encode("utf-16"), "x.jsonl", "UTF-16", 0),
    "UTF-16 without a mark": ("x.csv", "text\nhi".encode("utf-16-le"), "x.csv", "UTF-16", 0),
    "huge line": ("x.jsonl", lines(FINE, "x" * (LONGEST + 9), FINE[:-2] + '!"}'), "x.jsonl:2", "longer", 2),
    "no column of a pair": ("x.jsonl", lines(PAIR, '{"prompt": "the"}'), "x.jsonl:2", "has no 'completion'", 1),
    "no known columns": ("x.jsonl", lines('{"a": 1, "b": 2}', FINE), "x.jsonl:1", "no known shape.*a, b", 1),
    "no columns": ("x.jsonl", lines("{}", FINE), "x.jsonl:1", "no known shape.*none", 1),
    "null for text": ("x.jsonl", lines('{"text": null}', FINE), "x.jsonl:1", "no text in 'text': it is null", 1),
    "a list for text": ("x.jsonl", lines('{"text": ["a"]}', FINE), "x.jsonl:1", "no text in 'text': it is a list", 1),
    "white space for text": ("x.jsonl", lines('{"text": " \\n "}', FINE), "x.jsonl:1", "has nothing in 'text'", 1),
    "messages is text": ("x.jsonl", lines('{"messages": "hi"}'), "x.jsonl:1", "no list of messages", 0),
    "messages is empty": ("x.jsonl", lines('{"messages": []}'), "x.jsonl:1", "no list of messages", 0),
    "nested null": ("x.jsonl", lines(chat(None)), "x.jsonl:1", "message that is not an object", 0),
    "unknown role": ("x.jsonl", lines(chat(("robot", "x"))), "x.jsonl:1", "unknown role: 'robot'", 0),
    "null role": ("x.jsonl", lines(chat((None, "x"))), "x.jsonl:1", "unknown role", 0),
    "null content": ("x.jsonl", lines(chat(("user", None))), "x.jsonl:1", "no text in 'content'", 0),
    "empty content": ("x.jsonl", lines(chat(("user", "a"), ("assistant", ""))), "x.jsonl:1", "has nothing in", 0),
    "no assistant turn": ("x.jsonl", lines(chat(("user", "a"))), "x.jsonl:1", "no assistant message", 0),
    "two user turns": (
        "x.jsonl",
        lines(chat(("user", "a"), ("user", "b"), ("assistant", "c"))),
        "x.jsonl:1",
        "two user messages",
        0,
    ),
    "assistant first": ("x.jsonl", lines(chat(("assistant", "a"), ("user", "b"))), "x.jsonl:1", "before any user", 0),
    "late system": (
        "x.jsonl",
        lines(chat(("user", "a"), ("system", "b"), ("assistant", "c"))),
        "x.jsonl:1",
        "not the first",
        0,
    ),
    "too long a prompt": (
        "x.jsonl",
        lines(json.dumps({"prompt": "the " * 300, "completion": "a"}), PAIR),
        "x.jsonl:1",
        "no supervised",
        1,
    ),
    "broken JSON file": ("x.json", b'[{"text": "the one"},\n{"text": "a"', "x.json:2", "not JSON.*1 before it", 1),
    "JSON file of lines": ("x.json", lines(FINE, "{", PAIR), "x.json:2", "is not JSON", 2),
    "JSON file of numbers": ("x.json", b"[1]", "x.json#1", "is not an object", 0),
    "JSON file, Latin-1": ("x.json", b'[\n{"text": "\xe9"}]', "x.json:2", "not UTF-8.*0xe9", 0),
    "empty JSON file": ("x.json", b"", "x.json", "is empty", 0),
    "ragged CSV": ("x.csv", b"text,n\na fine one,1\nb\nc,2,3\n", "x.csv:3", "does not have the 2 columns", 1),
    "CSV without a header": ("x.csv", b"hi,yo\nhi,ho\n", "x.csv:2", "no known shape.*hi, yo", 0),
    "CSV with a column twice": ("x.csv", b"text,text\na,b\n", "x.csv", "column twice: 'text'", 0),
    "CSV, open quote": ("x.csv", b'text,n\n"open,1\nfine one,2\n', "x.csv:2", "quotation mark", 1),
    "CSV, open quote closed late": (
        "x.csv",
        b'text,n\n"open,1\nfine,2\n"fine too",3\n',
        "x.csv:2",
        "quotation mark",
        2,
    ),
    "CSV, quote amid text": ("x.csv", b'text,n\n"a" b,1\nfine,2\n', "x.csv:2", "quotation mark", 1),
    "CSV, open quote in the header": ("x.csv", b'"text,n\na,1\n', "x.csv", "header that cannot be read", 0),
    "CSV, Latin-1": ("x.csv", b"text\ncaf\xe9\nfine\n", "x.csv:2", "not UTF-8", 1),
    "ragged TSV": ("x.tsv", b"text\tn\na fine one\t1\nb\n", "x.tsv:3", "does not have the 2 columns", 1),
    "TSV, open quote": ("x.tsv", b'text\tn\n"open\t1\nfine one\t2\n', "x.tsv:2", "quotation mark", 1),
    "TSV with commas": ("x.tsv", b"prompt,completion\na,b\n", "x.tsv:2", "no known shape", 0),
    "no Parquet": ("x.parquet", b"PAR1 this is none PAR1", "x.parquet", "not a whole Parquet", 0),
    "empty Parquet": ("x.parquet", b"", "x.parquet", "not a whole Parquet", 0),
    "long document": ("x.txt", b"x" * (LONGEST + 1), "x.txt", "split it into several files", 0),
    "blank document": ("x.md", b" \n", "x.md", "has nothing in 'text'", 0),
}


def check(place: Path, tiny: Path, run: Path, **data: Any) -> tuple[int, dict[str, Any], Failed | None]:
    """Check rows as the child process does: the exit code, the report, and the last word if it failed."""
    spec = {"model": str(tiny), "data": {"path": str(place), "max_length": 64, **data}, "train": {"steps": 1}}
    run.mkdir()
    (run / "inbox.jsonl").touch()
    (run / "job.json").write_text(json.dumps({"kind": "check", "spec": spec}))
    code = worker.run(run)
    events = [decode(line) for line in (run / "events.jsonl").read_text().splitlines()]
    report = next((event.data for event in events if isinstance(event, Report)), {})
    return code, report, next((event for event in events if isinstance(event, Failed)), None)


def problems(report: dict[str, Any]) -> str:
    return "\n".join(f"{p['sources'][0]} {p['kind']}: {p['detail']}" for p in report.get("problems", []))


def where(report: dict[str, Any], says: str) -> list[str]:
    """The sources of the problems of which this is said."""
    found = [p for p in report["problems"] if re.search(says, f"{p['kind']}: {p['detail']}")]
    return [source for kind in found for source in kind["sources"]]


@pytest.mark.parametrize("case", ROWS)
def test_broken_rows(case: str, tiny: Path, tmp_path: Path) -> None:
    name, content, source, says, fine = ROWS[case]
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / name).write_bytes(content)
    code, report, failed = check(folder / name, tiny, tmp_path / "alone", split=0)
    assert code == (0 if fine else 2)
    assert source in where(report, says), problems(report)
    if failed:
        assert source in failed.message
    else:
        assert report["train"]["rows"] == fine
    (folder / "good.jsonl").write_text("\n".join(map(json.dumps, GOOD)))
    code, report, _ = check(folder, tiny, tmp_path / "among", split=0)
    assert code == 0
    assert report["train"]["rows"] == fine + len(GOOD)


@pytest.mark.parametrize(
    ("name", "content", "data", "says"),
    [
        ("x.jsonl", b"", {}, "x.jsonl has no row that can be trained on: it is empty"),
        ("x.csv", b"text,n\n", {}, "it is empty"),
        ("x.jsonl", b"\n\n \n", {}, "it is empty"),
        ("x.docx", b"PK", {}, "x.docx is not of a kind that can be read"),
        ("x", b"text", {}, "x is not of a kind"),
        ("none.jsonl", None, {}, "no such file"),
        (".", None, {}, "holds no rows"),
        ("x.jsonl", lines(FINE), {"template": "{quote} by {who}"}, "x.jsonl:1 has no 'quote': it has text"),
        ("x.jsonl", lines(FINE), {"shape": "chat"}, "x.jsonl:1 has no list of messages"),
        ("x.jsonl", lines(PAIR, PAIR.upper()), {"shape": "text"}, "x.jsonl:1 has no 'text'"),
        ("x.jsonl", lines(json.dumps({"text": "the " * 99})), {"long_rows": "drop"}, "No row is left to train on"),
    ],
)
def test_nothing_to_train_on(
    name: str, content: bytes | None, data: dict[str, Any], says: str, tiny: Path, tmp_path: Path
) -> None:
    place = tmp_path / "rows" / name
    (tmp_path / "rows").mkdir()
    if content is not None:
        place.write_bytes(content)
    code, _, failed = check(place, tiny, tmp_path / "run", split=0, **data)
    assert code == 2
    assert failed is not None
    assert says in failed.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "x.jsonl").write_text(FINE)
    (tmp_path / "rows" / "secret.jsonl").write_text(FINE)
    (tmp_path / "rows" / "secret.jsonl").chmod(0)
    code, report, _ = check(tmp_path / "rows", tiny, tmp_path / "run")
    assert code == 0
    assert "secret.jsonl cannot be read: Permission denied" in problems(report)


def test_byte_order_marks_blank_lines_and_nul_are_no_trouble(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + FINE.encode() + b"\r\n\r\n")
    (tmp_path / "rows" / "b.csv").write_bytes(b"\xef\xbb\xbftext\r\n\r\na\x00b\r\n")
    (tmp_path / "rows" / "c.json").write_bytes(b"\xef\xbb\xbf[" + PAIR.encode() + b"]")
    code, report, _ = check(tmp_path / "rows", tiny, tmp_path / "run", split=0)
    assert (code, report["train"]["rows"]) == (0, 3)
    found = sorted((kind["effect"], kind["kind"].partition(" (")[0]) for kind in report["problems"])
    glued = "has no space or line end between its prompt and its reply"  # as these two rows are
    assert found == [("odd", "has a control character"), ("odd", glued)]


TRAIN = "train: {steps: 1}\n"
DATA = "data: {path: x.jsonl}\n"
# name: the recipe, the line that is named, what is said
RECIPES: dict[str, tuple[str | bytes, int, str]] = {
    "unknown key": (f"model: x\n{DATA}train:\n  steps: 1\n  batchsize: 2\n", 5, "did you mean 'batch_size'"),
    "unknown section": (f"model: x\n{DATA}{TRAIN}optimiser: adam\n", 4, "no such key"),
    "key of another section": (f"model: x\n{DATA}train: {{steps: 1, rank: 3}}\n", 3, "did you mean 'lora.rank'"),
    "text for a number": (f"model: x\n{DATA}lora:\n  rank: big\n{TRAIN}", 4, "lora.rank: must be a whole .*'big'"),
    "a list for a number": (f"model: x\n{DATA}train:\n  steps: [1]\n", 4, "train.steps: must be a whole number"),
    "a fraction for a count": (f"model: x\n{DATA}train:\n  steps: 1.5\n", 4, "train.steps: must be a whole number"),
    "a number for text": (f"model: 3\n{DATA}{TRAIN}", 1, "model: must be text"),
    "text for a section": ("model: x\ndata: rows.jsonl\ntrain: {steps: 1}\n", 2, "data: must hold keys: path"),
    "null for a section": (f"model: x\n{DATA}train:\n", 3, "train"),
    "out of range": (f"model: x\n{DATA}train: {{steps: 1}}\nlora:\n  dropout: 1\n", 5, "less than 1"),
    "negative": (f"model: x\n{DATA}train:\n  steps: -1\n", 4, "must be 1 or more"),
    "not one of the choices": (f"model: x\n{DATA}train:\n  steps: 1\n  schedule: cosin\n", 5, "'constant', 'linear'"),
    "unknown shape": ("model: x\ndata:\n  path: x\n  shape: dialog\ntrain: {steps: 1}\n", 4, "'chat'"),
    "unknown long_rows": ("model: x\ndata:\n  path: x\n  long_rows: wrap\ntrain: {steps: 1}\n", 4, "'split'"),
    "unknown projection": (f"model: x\n{DATA}{TRAIN}lora:\n  target_modules: [qproj]\n", 5, "'q_proj'"),
    "split too large": ("model: x\ndata:\n  path: x\n  split: 0.9\ntrain: {steps: 1}\n", 4, "must be 0.5 or less"),
    "both lengths": (f"model: x\n{DATA}train:\n  steps: 1\n  epochs: 1\n", 3, "one of steps, epochs and minutes"),
    "no length": (f"model: x\n{DATA}train:\n  seed: 1\n", 3, "one of steps, epochs and minutes"),
    "no model": (f"{DATA}{TRAIN}", 1, "model: is missing"),
    "no rows": (f"model: x\n{TRAIN}", 1, "data: is missing"),
    "no path": ("model: x\ndata:\n  split: 0.1\ntrain: {steps: 1}\n", 2, "data.path: is missing"),
    "key twice": (f"model: x\n{DATA}{TRAIN}model: y\n", 4, "twice|duplicate"),
    "open bracket": ("model: x\ndata: {path: x\n", 3, "not YAML"),
    "tab": ("model: x\ndata:\n\tpath: x\n", 3, "not YAML.*tab|not YAML.*token"),
    "wrong indentation": ("model: x\n  data: y\n", 2, "not YAML"),
    "empty": ("", 1, "must hold keys"),
    "only comments": ("# to be written\n", 1, "must hold keys"),
    "a list": ("- model: x\n", 1, "must hold keys"),
    "a word": ("model\n", 1, "must hold keys"),
    "two documents": (f"model: x\n{DATA}{TRAIN}---\nmodel: y\n", 4, "a second document begins here"),
    "Latin-1": ("model: caf\xe9\n".encode("latin-1"), 1, "not UTF-8"),
    "NUL": (b"model: x\x00\n", 1, "not YAML"),
    "open brace in a template": ("model: x\ndata:\n  path: x\n  template: '{q'\n" + TRAIN, 4, "not a template"),
    "single brace in a template": ("model: x\ndata:\n  path: x\n  template: '{q} }'\n" + TRAIN, 4, "not a template"),
    "nameless column": ("model: x\ndata:\n  path: x\n  template: '{} {a}'\n" + TRAIN, 4, "name of a column"),
    "format in a template": ("model: x\ndata:\n  path: x\n  template: '{a:>9}'\n" + TRAIN, 4, "name of a column"),
    "template without a column": ("model: x\ndata:\n  path: x\n  template: hi\n" + TRAIN, 4, "names no column"),
    "half a template": ("model: x\ndata:\n  path: x\n  template:\n    prompt: '{a}'\n" + TRAIN, 4, "completion"),
    "no column to learn": (
        f"model: x\ndata:\n  path: x\n  template: {{prompt: '{{a}}', completion: ok}}\n{TRAIN}", 4, "names no column",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RECIPES)
def test_broken_recipes(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content, line, says = RECIPES[case]
    path = tmp_path / "r.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setattr(sys, "argv", ["gemmalocal", "train", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "Traceback" not in said
    assert re.search(rf"{re.escape(str(path))}:{line}: .*({says})", said), said
    assert not history.list_runs()
