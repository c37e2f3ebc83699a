"""A chat as a job, and the command that watches it: asked, stopped, asked again, voted, saved, killed."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.backends.protocol import Sampling
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.events import Cleared, Declined, Event, Finished, Replied, Reply, Report, Sample, Voted
from gemmalocal.pipelines import chat
from gemmalocal.pipelines.shared.beside_training import training
from gemmalocal.recipe import recipe_file
from gemmalocal.workspace import transcript as talks
from tests.children import HANGS
from tests.here import work


@pytest.fixture
def run(recipe_path: Path, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the tiny Gemma with its checkpoints, trained once and copied."""
    trained, folder = tmp_path_factory.getbasetemp() / "trained-for-chat", workspace / "runs" / "one"
    if not trained.exists():
        spec = recipe_file.load(str(recipe_path), ["train.steps=6"]).model_dump(mode="json")
        work(folder, "train", spec)
        assert history.read(folder).status == "done"
        shutil.copytree(folder, trained)
    else:
        shutil.copytree(trained, folder)
    return folder


def wait(job: processes.Job) -> None:
    end = time.monotonic() + HANGS
    while job.alive:
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def voices(run: Path) -> list[dict[str, Any]]:
    return [{"name": "base", "run": str(run), "base": True}, {"name": "one", "run": str(run)}]


class Script:
    """Commands for a chat in this process, handed over one at a time as events come: (after which event, command)."""

    def __init__(self, run: Path, directory: Path, **spec: Any) -> None:
        self.events: list[Event] = []
        self.talk = talks.Talk()
        self._inbox: list[dict[str, Any]] = []
        directory.mkdir()
        self._stream: Iterator[Event] = chat.run({"voices": voices(run), **spec}, directory, self._look)

    def _look(self) -> list[dict[str, Any]]:
        found, self._inbox = self._inbox, []
        return found

    def do(self, *until: type[Event], **command: Any) -> Event:
        """Leave a command and go on to the next event of a kind; `Replied` is waited for from all voices."""
        self._inbox.append(command)
        answers = 0
        for event in self._stream:
            talks.fold(self.talk, event)
            self.events.append(event)
            answers += isinstance(event, Replied)
            if isinstance(event, until or Replied) and (not isinstance(event, Replied) or answers == 2):
                return event
        raise AssertionError("the chat ended")

    @property
    def texts(self) -> list[str]:
        """The last answers."""
        return [answer.text for answer in self.talk.exchanges[-1].answers]


def test_a_conversation_with_two_voices(run: Path, tmp_path: Path) -> None:
    script = Script(run, tmp_path / "chat", sampling={"max_tokens": 5})
    script.do(do="ask", text="the quote of a:")
    assert script.talk.names == ["base", "one"]
    assert script.talk.forms == ["prompt", "prompt"]
    samples = [event for event in processes.Job(run).poll() if isinstance(event, Sample)]
    before = next(one.text for one in samples if one.when == "before")
    after = next(one.text for one in samples if one.when == "after")
    assert script.texts == [before, after]  # what the trainer answered, voice by voice
    pieces = ["".join(one.text for one in script.events if isinstance(one, Reply) and one.voice == v) for v in (0, 1)]
    assert pieces == script.texts

    script.do(do="ask", text="and", temperature=2.0, seed=7, max_tokens=12)
    drawn = script.texts
    script.do(do="regenerate")
    assert script.texts != drawn
    assert script.talk.exchanges[-1].asked.sampling["seed"] == 8
    script.do(do="regenerate", seed=7)
    assert script.texts == drawn
    assert len(script.talk.exchanges) == 2

    script.do(Voted, do="vote", voice=1)
    script.do(Voted, do="vote", voice=0, turn=1)
    assert script.talk.tally == [1, 1]
    script.do(Cleared, do="clear")
    assert script.talk.remembered == []
    script.do(Declined, do="regenerate")
    saved = script.do(Report, do="save")
    assert isinstance(saved, Report)
    lines = [json.loads(line) for line in Path(saved.data["lines"]).read_text().splitlines()]
    assert [line["vote"] for line in lines] == ["base", "one"]
    assert [[answer["text"] for answer in line["answers"]] for line in lines][1] == drawn
    text = Path(saved.data["transcript"]).read_text()
    assert "### one (best)" in text
    assert "base 1, one 1" in text
    last = script.do(Finished, do="end")
    assert isinstance(last, Finished)
    assert last.outcome == "done"


def test_what_cannot_be_done_is_declined_with_the_reason(run: Path, tmp_path: Path) -> None:
    script = Script(run, tmp_path / "chat")
    for command, why in (
        ({"do": "ask", "text": "  "}, "no text"),
        ({"do": "ask", "text": "a", "temperature": "hot"}, "temperature is a number"),
        ({"do": "ask", "text": "a", "top_k": 1.5}, "top_k is a whole number"),
        ({"do": "ask", "text": "a", "max_tokens": 0}, "max_tokens"),
        ({"do": "regenerate"}, "nothing was asked"),
        ({"do": "vote", "voice": 0}, "no answer to vote for"),
        ({"do": "dance"}, "no such command"),
    ):
        declined = script.do(Declined, **command)
        assert isinstance(declined, Declined)
        assert why in declined.why
    script.do(do="ask", text="the", max_tokens=2)
    assert "at temperature 0" in getattr(script.do(Declined, do="regenerate"), "why")  # noqa: B009
    assert "no answer 5" in getattr(script.do(Declined, do="vote", voice=5), "why")  # noqa: B009


def test_a_stop_keeps_what_was_said(run: Path, tmp_path: Path) -> None:
    script = Script(run, tmp_path / "chat", sampling={"max_tokens": 500, "temperature": 5.0})
    script.do(Reply, do="ask", text="the quote")
    script.do(do="stop")
    answers = script.talk.exchanges[-1].answers
    assert all(answer.done for answer in answers)
    assert "asked" in {answer.done.stopped for answer in answers if answer.done}
    assert all(answer.tokens < 500 for answer in answers)
    script.do(do="ask", text="and", max_tokens=3)
    assert all(answer.done and answer.done.stopped in ("length", "end") for answer in script.talk.exchanges[-1].answers)


def test_nobody_there_ends_it(run: Path, tmp_path: Path) -> None:
    script = Script(run, tmp_path / "chat", idle=0.2)
    last = script.do(Finished, do="stop")
    assert "nobody asked" in getattr(last, "message")  # noqa: B009


def test_a_killed_chat_leaves_its_transcript(run: Path, workspace: Path) -> None:
    job = processes.start(workspace / "chats" / "c", "chat", {"voices": voices(run), "sampling": {"max_tokens": 3}})
    job.ask(do="ask", text="the")
    end = time.monotonic() + HANGS
    while not (job.directory / "transcript.jsonl").exists():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)
    job.kill()
    wait(job)
    assert history.read(job.directory).status == "killed"
    (line,) = (job.directory / "transcript.jsonl").read_text().splitlines()
    assert len(json.loads(line)["answers"]) == 2


def test_no_chat_beside_a_training_run_on_a_mac(run: Path) -> None:
    assert training("darwin") is None
    with (run / "lock").open("a+") as lock:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
        assert training("darwin") == "one"
        assert training("linux") is None


def command(*words: str, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gemmalocal", "chat", *words],
        input=said, capture_output=True, text=True, timeout=HANGS, check=False,
    )  # fmt: skip


def test_the_command_line_asks_both(run: Path, workspace: Path) -> None:
    done = command("--prompt", "the quote of a:", "--max-tokens", "4", "--json")
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout)
    assert [answer["name"] for answer in first["answers"]] == ["base", "one"]
    assert list((workspace / "errands").iterdir()) == []
    step = command("one@4", "one", "--no-base", "--prompt", "the", "--max-tokens", "3")
    assert step.returncode == 0, step.stderr
    assert [line for line in step.stdout.splitlines() if line.startswith("[")] == ["[one@4]", "[one]"]
    said = "the\n/vote one\n/again\n/clear\n/dance\n/save\n/quit\nand\n"
    talk = command("one", "--max-tokens", "3", "--json", said=said)
    assert talk.returncode == 0, talk.stderr
    assert len(talk.stdout.splitlines()) == 1
    assert "at temperature 0" in talk.stderr
    (folder,) = (workspace / "chats").iterdir()
    assert json.loads((folder / "transcript.jsonl").read_text())["vote"] == "one"
    assert "one 1" in (folder / "transcript.md").read_text()


def test_what_cannot_speak_is_said_in_a_sentence(run: Path) -> None:
    for words, code, says in ((["nobody"], 2, "no run"), (["one@5"], 3, "no checkpoint of step 5")):
        done = command(*words, "--prompt", "the")
        assert done.returncode == code, done.stderr
        assert says in done.stderr
        assert "Traceback" not in done.stderr


def test_sampling_of_a_command_is_kept() -> None:
    changed = chat.changed_sampling(Sampling(), {"temperature": 1, "seed": 3, "text": "x"})
    assert changed == Sampling(temperature=1, seed=3)
    assert chat.changed_sampling(changed, {"top_p": 0.5}).seed == 3
    with pytest.raises(ValueError, match="seed"):
        chat.changed_sampling(changed, {"seed": -1})
    with pytest.raises(ValueError, match="temperature"):
        chat.changed_sampling(changed, {"temperature": float("nan")})
