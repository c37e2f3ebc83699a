"""Foreign text never reaches a terminal raw: it is planted everywhere, and every command is looked at."""

from __future__ import annotations

import ast
import json
import os
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gemmalocal import cli
from gemmalocal.cli.event_printer import EventPrinter
from gemmalocal.files import paths
from gemmalocal.jobs import event_lines, processes, terminal_text
from gemmalocal.jobs.events import Asked, Cleared, Event, Failed, Finished, Replied, Reply, Report, Started, Voices
from gemmalocal.workspace import chats
from tests import planted
from tests.planted import EVENTS, EVIL, NAME, OURS, raw

ROOT = Path(__file__).parent.parent.parent
COUNTS = {"rows": 2, "tokens": 20, "supervised_tokens": 9, "cut": 0, "histogram": [[1, 2, 3]]}
COUNTS |= {"length_median": 3, "length_p95": 4, "length_max": 5}
PARTS = dict.fromkeys(("total", "machine", "weights", "activations", "head", "adapter", "longest_row"), 9) | {
    "of": "RAM"
}
PROBLEM = {"effect": EVIL, "count": 3, "kind": EVIL, "detail": EVIL, "sources": [EVIL], "example": EVIL}
CHECK = {
    "model": EVIL, "shape": EVIL, "steps": 3, "memory": {**PARTS, "fits": False}, "time": {"seconds": 3.0, "why": EVIL},
    "long_rows": {"max_length": 9, "split": 1, "do": EVIL}, "train": COUNTS, "held_out": COUNTS, "left_out": 3,
    "duplicates": 2, "problems": [PROBLEM], "rows": [{"source": EVIL, "pieces": [[EVIL, True], [EVIL, False]]}],
}  # fmt: skip
MODEL = {
    "name": EVIL, "place": EVIL, "path": EVIL, "size": 9, "estimated": True, "licence": EVIL, "gated": True,
    "damaged": True, "train": "yes", "chat": True,
}  # fmt: skip
ENGINE = {"device": EVIL, "blas": EVIL, "gflops": 3.0, "dtype": EVIL, "why": EVIL, "hint": EVIL}
PROOF = {
    "path": EVIL, "bytes": 9, "base": 3.0, "tuned": 2.0, "exported": 2.0, "kept": 0.5, "carried": 0.5, "passed": False,
    "reader": EVIL, "logit_difference": 0.1, "answers": [{"prompt": EVIL, "tuned": EVIL, "exported": EVIL}],
}  # fmt: skip
SENT = {
    "files": [{"name": EVIL, "bytes": 9}], "dry": True, "private": True, "kind": EVIL, "repository": EVIL,
    "created": True, "url": EVIL,
}  # fmt: skip
# A command's words: what its job reports.
ERRANDS: dict[tuple[str, ...], dict[str, Any]] = {
    ("check", "RECIPE"): CHECK,
    ("models",): {"memory": 9, "models": [MODEL]},
    ("doctor",): {"engines": {EVIL: {"missing": EVIL}, f"{EVIL}2": ENGINE}},
    ("fetch", "x/y"): {"path": EVIL},
    ("import", "x.gguf"): {"path": EVIL, "model": EVIL, "licence": EVIL},
    ("adapter", "RUN", "/tmp/y", "--to", "mlx-lm"): {"path": EVIL, "folder": EVIL},
    ("push", "RUN", "x/y"): SENT,
    ("push", "RUN", "x/z"): {**SENT, "dry": False},
    ("whoami",): {"name": EVIL, "role": EVIL, "source": EVIL, "organizations": [EVIL]},
    ("serve", "RUN"): {"model": EVIL, "url": EVIL, "chat": False},
}
LOOKS = [
    ("runs",), ("watch", "RUN"), ("log", "RUN"), ("stop", "RUN"), ("accept", "DATASET"), ("accept", "DATASET", "1"),
    ("train", "RECIPE", "--detach", "--set", f"{EVIL}=1"), ("train", EVIL), ("watch", EVIL), (EVIL,),
    ("export", "RUN", "--to", EVIL), ("runs", f"--{EVIL}"), ("bench", "--steps", EVIL), ("models", "--folder", EVIL),
    ("convert", EVIL, "--to", "chat"), ("chat", f"{EVIL}@3"), ("resume", "RUN", "--set", EVIL),
    ("prepare", "x", "--to", f"./{EVIL}/y", "--held-out", "9"),
]  # fmt: skip


def called(words: Sequence[str], places: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a command, in colour, as on a terminal."""
    monkeypatch.setitem(cli.group.context_settings, "color", True)
    given = [places.get(word, word.translate({0: None, 0xDCFF: None})) for word in words]  # what argv can hold
    monkeypatch.setattr(sys, "argv", ["gemmalocal", *given])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """A run, a dataset and a recipe in which everything is evil, by the words that stand for them."""
    run = planted.run([*EVENTS.values()])
    (run / "adapter").mkdir()
    (run / "adapter" / "adapter_config.json").touch()
    dataset = planted.folder(paths.datasets(), [*EVENTS.values()], "prepare")
    row = {"messages": [{"role": EVIL, "content": EVIL}], "source": EVIL, "reason": EVIL}
    for name in ("train.jsonl", "rejected.jsonl", "held_out.jsonl"):
        (dataset / name).write_text(json.dumps(row) + "\n")
    recipe = tmp_path / f"{NAME}.yaml"
    recipe.write_text("model: nosuch\ndata: {path: rows.jsonl}\ntrain: {steps: 1}\n")
    return {"RUN": run.name, "DATASET": str(dataset), "RECIPE": str(recipe)}


def judged(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed; nothing of it is raw but our own styles."""
    out, err = capsys.readouterr()
    assert not raw(OURS.sub("", out)), out
    assert not raw(OURS.sub("", err)), err
    assert "Traceback" not in err
    return out + err


@pytest.mark.parametrize("kind", EVENTS)
def test_no_event_is_told_raw(kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    printer = EventPrinter()
    printer(EVENTS[kind])
    printer.close()
    judged(capsys)
    line = event_lines.encode(EVENTS[kind], 1.0)
    assert not raw(line)
    assert event_lines.decode(line) == EVENTS[kind]


@pytest.mark.parametrize("words", LOOKS, ids=lambda words: " ".join(words)[:20].encode("unicode_escape").decode())
def test_no_command_prints_raw(
    words: tuple[str, ...],
    places: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called(words, places, monkeypatch)
    assert "evil" in judged(capsys) or words[0] in ("stop", "prepare")


@pytest.mark.parametrize("json_too", [False, True])
@pytest.mark.parametrize("words", ERRANDS, ids=" ".join)
def test_no_report_is_printed_raw(
    words: tuple[str, ...],
    json_too: bool,
    places: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = [one for one in EVENTS.values() if not isinstance(one, Report | Failed)]
    job = planted.folder(tmp_path, [*said, Report(ERRANDS[words]), Finished("done", EVIL)], name="errand")
    monkeypatch.setattr(processes, "errand", lambda kind, spec, secret="": processes.Job(job))
    assert called((*words, *["--json"] * json_too), places, monkeypatch) == 0
    out = judged(capsys)
    assert "evil" in out


@pytest.mark.parametrize("words", [("runs", "--json"), ("watch", "RUN", "--json")])
def test_json_stays_json(
    words: tuple[str, ...], places: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (paths.runs() / NAME / "events.jsonl").open("ab") as file:
        file.write(b'\x1b[2J no json\n["\x9b"]\n')
    called(words, places, monkeypatch)
    out, _ = capsys.readouterr()
    assert not raw(out)
    read = [json.loads(line) for line in out.splitlines()]
    if words[0] == "watch":
        assert [event_lines.decode(json.dumps(line)) for line in read] == [*EVENTS.values()]
    else:
        assert [row["name"] for row in read] == [NAME]


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_no_answer_is_printed_raw(
    more: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    talk: list[Event] = [Started("chat", 1, 1), Voices([EVIL, f"{EVIL}2"], ["chat", "chat"]), Asked(1, EVIL, EVIL, {})]
    talk += [Reply(1, 0, EVIL, 3), *(Replied(1, voice, EVIL, 3, 1.0, 0.1, "end") for voice in range(2)), Cleared()]
    job = planted.folder(tmp_path, [*talk, Finished("done", EVIL)], "chat", "talk")
    monkeypatch.setattr(chats, "start", lambda *words, **more: processes.Job(job))
    called(("chat", "x", "--prompt", EVIL, *more), {}, monkeypatch)
    assert "evil" in judged(capsys)


def test_a_recipe_s_own_words_are_not_told_raw(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "r.yaml"
    evil = json.dumps(EVIL.replace("\udcff", ""))
    for text in (
        f"{evil}: 1\n",
        f"model: {evil}\ndata: {{path: {evil}}}\ntrain: {{steps: {evil}}}\n",
        f"a: !{EVIL[:9]}\n",
    ):
        recipe.write_text(text, encoding="utf-8")
        assert called(("train", str(recipe)), {}, monkeypatch) == 2
        judged(capsys)


def test_what_steers_is_written_out() -> None:
    for mark in map(chr, range(0x600)):
        steers = unicodedata.category(mark) in ("Cc", "Cf") and mark not in "\n\t"
        assert (terminal_text.visible(mark) != mark) == (steers or mark == "\u034f")
        assert not raw(terminal_text.on_line(mark))
        assert json.loads(terminal_text.as_json(mark)) == mark


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc\r\nd", "a\tb\nc\nd"),
        ("50 %\r100 %", "50 %\\r100 %"),
        ("pay\u200dpal", "pay\\u200dpal"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),  # Persian
        ("\U0001f469\u200d\U0001f4bb \u2764\ufe0f", "\U0001f469\u200d\U0001f4bb \u2764\ufe0f"),
        ("\u65e5\u672c\u3000\u8a9e caf\xe9 \xa0", "\u65e5\u672c\u3000\u8a9e caf\xe9 \xa0"),
        ("\u3164\uffa0\u115f\u034f", "\\u3164\\uffa0\\u115f\\u034f"),
        ("\U000e0041\ufffe\ud800", "\\U000e0041\\ufffe\\ud800"),
    ],
)
def test_what_people_write_stays(text: str, shown: str) -> None:
    assert terminal_text.visible(text) == shown


def test_a_field_has_its_width() -> None:
    assert terminal_text.on_line("a\nb", 9) == "a\\nb"
    assert terminal_text.on_line("abcdef", 4) == "abc…"
    assert terminal_text.on_line("日本語日本語", 6) == "日本…"
    assert terminal_text.on_line("日本語", 6) == "日本語"
    assert len(terminal_text.on_line("e" + "\u0301" * 500, 20)) <= 20


def calls(tree: ast.AST) -> list[str]:
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_nothing_else_prints() -> None:
    outlets = {"print", "click.echo", "click.secho", "click.style", "click.echo_via_pager", "sys.stdout.write"}
    outlets |= {"sys.stderr.write", "os.write", "click.confirm", "click.progressbar"}
    for file in [*ROOT.glob("gemmalocal/cli/*.py"), *ROOT.glob("gemmalocal/*.py")]:
        if file.name not in ("output.py", "worker.py", "macos.py"):  # the last two print to a log
            assert not outlets & set(calls(ast.parse(file.read_text(encoding="utf-8")))), file


def test_a_folder_is_listed_whatever_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    planted.run([Started("train", 1, 1)], name=os.fsdecode(b"\xff\xfe-1"))
    assert called(("runs",), {}, monkeypatch) == 0
    assert "\\udcff\\udcfe-1" in judged(capsys)
