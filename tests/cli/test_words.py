"""What people type after a command that cannot be: a sentence, a remedy and exit code 2, before anything is begun."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from gemmalocal import cli
from gemmalocal.jobs import processes
from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import Asked, Finished, Replied, Voices
from gemmalocal.workspace import chats

LONG, FOREIGN, EMPTY, STEERING = "a" * 300, os.fsdecode(b"caf\xe9"), "", "a\x1b[31mb\n"
COMMANDS = [
    ["train", "?"],
    ["check", "?"],
    ["resume", "?"],
    ["watch", "?"],
    ["stop", "?"],
    ["stop", "?", "--force"],
    ["log", "?"],
    ["report", "?"],
    ["report", "?", "b", "--md"],
    ["chat", "?", "--prompt", "x"],
    ["export", "?", "--to", "adapter"],
    ["serve", "?"],
    ["adapter", "?", "out", "--to", "peft"],
    ["adapter", "?", "out", "--to", "mlx-lm"],
    ["push", "?", "me/x"],
    ["accept", "?"],
    ["prepare", "rows.jsonl", "--to", "?"],
    ["train", "quotes", "--name", "?"],
    ["train", "quotes", "--set", "?"],
    ["bench", "--backend", "?"],
    ["export", "nobody", "--to", "?"],
    ["?"],
]


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str]:
    """The exit code of a command in this process, and what it printed."""
    monkeypatch.setattr(sys, "argv", ["gemmalocal", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    captured = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, captured.err + captured.out


@pytest.fixture(autouse=True)
def _nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is started all the same fails the test."""

    def begun(*_: object, **__: object) -> None:
        raise AssertionError("a job was begun")

    monkeypatch.setattr(processes, "start", begun)


@pytest.mark.parametrize("word", [LONG, FOREIGN, EMPTY, STEERING], ids=["long", "foreign", "empty", "steering"])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_answers_with_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], word: str
) -> None:
    if words == ["train", "quotes", "--name", "?"] and word == EMPTY:
        pytest.skip("no name is a name by the recipe")
    code, text = said(capsys, monkeypatch, *(word if part == "?" else part for part in words))
    assert code == 2
    assert "Traceback" not in text
    assert "\x1b[31m" not in text
    assert text.strip()
    if word == FOREIGN:
        assert "An argument is not UTF-8 text: caf\\xe9" in text
    if word == LONG:
        assert len(text) < 900


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["adapter", "nosuch", "out", "--to", "peft"], "There is no run 'nosuch'."),
        (["adapter", ".", "out", "--to", "peft"], "holds no adapter"),
        (["watch", LONG], "There is no run 'aaaa"),
        (["train", LONG], "There is no recipe 'aaaa"),
        (["train", "quotes", "--name", LONG], "is too long for a run's name"),
        (["chat", "--prompt", ""], "A --prompt is empty"),
        (["chat", "--prompt", "hello", "--prompt", " \n "], "A --prompt is empty"),
    ],
)
def test_it_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = said(capsys, monkeypatch, *words)
    assert code == 2
    assert says in text


def test_an_adapter_of_a_run_that_has_none_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, workspace: Path
) -> None:
    run = workspace / "runs" / "r"
    run.mkdir(parents=True)
    (run / "job.json").write_text("{}")
    code, text = said(capsys, monkeypatch, "adapter", "r", "out", "--to", "peft")
    assert (code, "r has made no adapter yet" in text) == (2, True)
    (run / "model").mkdir()
    code, text = said(capsys, monkeypatch, "adapter", "r", "out", "--to", "peft")
    assert (code, "a whole model" in text) == (2, True)


class Parrot(processes.Job):
    """A job that answers each question with the question, without a process."""

    asked = 0

    def ask(self, **command: object) -> None:
        events: list[object] = []
        if command["do"] == "end":
            events = [Finished("done")]
            self.over = True
        if command["do"] == "ask":
            self.asked += 1
            text = str(command["text"])
            events = [
                Asked(self.asked, text, "", {}),
                Replied(self.asked, 0, f"said {text}", 1, 1.0, 0.5, "end"),
            ]
        with (self.directory / "events.jsonl").open("a") as file:
            file.writelines(f"{encode(event, 0)}\n" for event in events)  # type: ignore[arg-type]

    over = False

    @property
    def alive(self) -> bool:
        return not self.over

    def kill(self, by_person: bool = False) -> None:
        self.over = True


def test_bytes_on_stdin_that_are_no_text_are_told_and_nothing_is_said_twice(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "events.jsonl").write_text(f"{encode(Voices(['base'], ['chat']), 0)}\n")
    monkeypatch.setattr(chats, "start", lambda *_, **__: Parrot(tmp_path))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ncaf\xe9\n\n three \n"), encoding="utf-8"))
    code, text = said(capsys, monkeypatch, "chat", "r")
    assert code == 2
    assert "line 2 of stdin is not UTF-8 text: it was skipped" in text
    assert (text.count("said one"), text.count("said three")) == (1, 1)
    asked = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["text"] for event in asked if event["event"] == "asked"] == ["one", "three"]
