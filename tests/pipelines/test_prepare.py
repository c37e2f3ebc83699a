"""Documents to datasets: by rules, by an endpoint, killed, resumed, edited, and on to training."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.data import token_store
from gemmalocal.data.tokenizer import TURNS, Tokenizer
from gemmalocal.engine.generation import ChatModel
from gemmalocal.jobs import processes
from gemmalocal.jobs.events import Event
from gemmalocal.pipelines.shared.chat_models import load_chat_models
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.synthesis import ground
from gemmalocal.workspace import datasets
from tests.here import LIMIT, apart, run
from tests.synthesis.server import Model, quiz, running

LIGHT = """# The lamp

The lamp is a paraffin burner with six wicks. It stands inside a lens of 172 glass prisms that was made in 1871.

# The keepers

Three keepers serve the station in watches of four hours. The principal keeper writes the journal every evening.

# The fog signal

The fog signal is a siren that is driven by compressed air. Fog is reported on about 40 days of each year.
"""
BEES = """# The hives

A hive is a stack of wooden boxes with frames that hold the comb. Eight hives stand along the wall of the garden.

# Honey

Honey is made from nectar that workers dry in the comb. The first honey is taken in the last week of June.
"""
KEY = "sk-that-nobody-may-see"


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "light.md").write_text(LIGHT)
    (folder / "bees.md").write_text(BEES)
    return folder


def prepared(documents: Path, tiny: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    begun = apart if "--detach" in options else run
    return begun("prepare", str(documents), "--to", name, "--model", str(tiny), "--passage-tokens", "400", *options)


def of_files(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: datasets.read(folder / name) for name in (TRAIN_FILE, HELD_OUT_FILE, datasets.REJECTED)}


def grounded(rows: list[dict[str, Any]], documents: Path) -> bool:
    """Whether each row's evidence occurs in the file that it names."""
    quotes = [(row.get("evidence") or row["text"], Path(row["source"]).read_text()) for row in rows]
    return all(ground.problem(quote, text) is None for quote, text in quotes)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The report of a preparation that was run with --json."""
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "finished"
    report: dict[str, Any] = next(event["data"] for event in events if event["event"] == "report")
    return report


def test_rules_alone_make_rows_that_a_recipe_trains_on(
    documents: Path, tiny: Path, recipe_path: Path, workspace: Path
) -> None:
    (documents / "picture.xyz").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = prepared(documents, tiny, "mine", "--author", "rules", "--json")
    report = told(done)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    read = {Path(event["source"]).name: event for event in events if event["event"] == "read"}
    assert [(name, bool(event["refused"])) for name, event in read.items()] == [
        ("bees.md", False),
        ("light.md", False),
        ("picture.xyz", True),
    ]
    counted = [event for event in events if event["event"] == "counted"]
    folder = workspace / "datasets" / "mine"
    files = of_files(folder)
    assert report["documents"] == 2
    assert sum(event["passages"] for event in read.values()) == report["passages"]
    assert counted[-1]["kept"] >= report["train"]["rows"] + report["held_out"]["rows"]
    assert [Path(item["source"]).name for item in report["refused"]] == ["picture.xyz"]
    assert report["train"]["rows"] == len(files[TRAIN_FILE]) > 3
    assert report["held_out"]["rows"] == len(files[HELD_OUT_FILE]) > 3
    assert {row["source"] for row in files[TRAIN_FILE]}.isdisjoint(row["source"] for row in files[HELD_OUT_FILE])
    assert grounded(files[TRAIN_FILE] + files[HELD_OUT_FILE], documents)
    data = ("--set", "data.path=mine", "--set", "data.max_length=512")
    checked = run("check", str(recipe_path), *data, "--json")
    assert checked.returncode == 0, checked.stderr
    seen = json.loads(checked.stdout)
    assert seen["train"]["rows"] == len(files[TRAIN_FILE])
    assert seen["held_out"]["rows"] == len(files[HELD_OUT_FILE])
    trained = run("train", str(recipe_path), *data, "--set", "train.steps=2", "--name", "tuned")
    assert trained.returncode == 0, trained.stderr
    _asked_as_trained(workspace / "runs" / "tuned", Tokenizer(tiny), files[TRAIN_FILE])


def _asked_as_trained(folder: Path, tokenizer: Tokenizer, rows: list[dict[str, Any]]) -> None:
    """A base model has no template: a line end stands between question and answer, in training and in a chat."""
    question, answer = (turn["content"] for turn in rows[0]["messages"])
    examples, _, _ = token_store.load(folder / "examples")
    texts = [tokenizer.decode(example.ids.tolist(), special=True) for example in examples]
    assert f"<bos>{question}\n{answer}<eos>" in texts
    seats = load_chat_models(
        [{"name": "base", "run": str(folder), "base": True}, {"name": "tuned", "run": str(folder)}]
    )
    assert {voice.prompt(question, "", []) for voice in returned(seats)} == {f"<bos>{question}\n"}


def returned(seats: Generator[Event, None, list[ChatModel]]) -> list[ChatModel]:
    """What a generator comes to, its events passed over."""
    while True:
        try:
            next(seats)
        except StopIteration as end:
            voices: list[ChatModel] = end.value
            return voices


@pytest.mark.parametrize("instructed", [True, False])
def test_a_model_of_this_machine_is_asked_and_never_yields_nothing(
    documents: Path, tiny: Path, workspace: Path, tmp_path: Path, instructed: bool
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny, model)
    if instructed:
        (model / "chat_template.jinja").write_text(TURNS)
    short = ("--attempts", "2", "--answer-tokens", "16", "--temperature", "0.8", "--json")
    answers, files = [], []
    for name in ("one", "two"):
        done = prepared(documents, model, name, *short)
        assert done.returncode == 0, done.stderr
        folder = workspace / "datasets" / name
        answers.append(sorted((folder / datasets.ASKED).read_text().splitlines()))
        files.append(of_files(folder))
    assert answers[0] == answers[1]  # sampled, but by the prompt and the seed alone
    assert len(answers[0]) >= 5
    assert files[0] == files[1]
    assert {row["by"] for row in files[0][TRAIN_FILE]} == {"rules"}  # its weights are random
    again = prepared(documents, model, "one", *short)
    report = told(again)
    assert (report["asked"], report["answers_known"]) == (0, len(answers[0]))


def through(model: Model, documents: Path, tiny: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    return prepared(documents, tiny, name, "--endpoint", model.url, *options)


def test_an_endpoint_writes_and_a_second_run_asks_nothing(
    documents: Path, tiny: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with running() as model:
        model.faults, model.listed = ["500"], f"/home/ann/{KEY}/gemma.gguf"  # it says the key back, and where it lies
        first = through(model, documents, tiny, "d", "--key-env", "MY_KEY", "--json")
        assert first.returncode == 0, first.stderr
        told = [event for event in map(json.loads, first.stdout.splitlines()) if event.get("what") == "passages"]
        assert [event["done"] for event in told] == sorted({event["done"] for event in told})  # it never goes back
        assert told[0]["done"] == 1  # told at the first answer, not once the whole window has one
        asked, files = len(model.asked), of_files(workspace / "datasets" / "d")
        assert asked == 6
        assert {row["by"] for row in files[TRAIN_FILE] + files[HELD_OUT_FILE]} == {"model"}
        assert grounded(files[TRAIN_FILE] + files[HELD_OUT_FILE], documents)
        again = through(model, documents, tiny, "d", "--key-env", "MY_KEY")
        assert again.returncode == 0, again.stderr
        assert len(model.asked) == asked
        assert of_files(workspace / "datasets" / "d") == files
        assert set(model.keys) == {f"Bearer {KEY}"}
        model.faults = ["401"]
        refused = through(model, documents, tiny, "e", "--key-env", "MY_KEY")
        assert refused.returncode == 3
        assert "refuses access (401)" in refused.stderr
    unset = prepared(documents, tiny, "f", "--endpoint", model.url, "--key-env", "NO_SUCH_KEY")
    assert unset.returncode == 3
    assert "NO_SUCH_KEY is not set" in unset.stderr
    for file in workspace.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert KEY.encode() not in content, f"{file} holds the key"
        assert b"/home/ann" not in content, f"{file} holds a path of another machine"
    assert KEY not in first.stdout + first.stderr + refused.stderr
    assert "/home/ann" not in first.stdout + first.stderr
    assert "gemma.gguf at http" in again.stderr + again.stdout


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not done():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def author_and_judge(body: dict[str, Any]) -> str:
    """A good author, and a judge whose score depends on the row alone."""
    asked = body["messages"][0]["content"]
    if not asked.startswith("Score"):
        return quiz(body)
    return json.dumps({"rows": [{"score": 3 if "hive" in asked.rpartition("Question:")[2] else 9, "reason": "so"}]})


@pytest.mark.parametrize("answers", [2, 7])  # 5 passages are asked about, then the rows are judged
def test_killed_and_started_again_is_the_same_dataset_and_nothing_is_asked_twice(
    documents: Path, tiny: Path, workspace: Path, answers: int
) -> None:
    options = ("--concurrency", "1", "--judge")
    with running() as model:
        model.answer = author_and_judge
        assert through(model, documents, tiny, "whole", *options).returncode == 0
        whole = len(model.asked)
        assert whole > 10
        model.asked.clear()
        model.answered.clear()
        model.hold = answers
        assert through(model, documents, tiny, "killed", *options, "--detach").returncode == 0
        job = processes.Job(workspace / "datasets" / "killed")
        until(lambda: len(model.asked) == answers + 1)  # so the answers before are kept
        known = set(model.answered)
        os.killpg(int((job.directory / "lock").read_text().split()[0]), signal.SIGKILL)
        until(lambda: not job.alive)
        assert not (job.directory / TRAIN_FILE).exists()
        with (job.directory / datasets.ASKED).open("ab") as torn:
            torn.write(b'{"key": "ab')  # what a kill in the midst of a write leaves
        model.hold = None
        model.gate.set()
        model.asked.clear()
        resumed = run("resume", "killed")
        assert resumed.returncode == 0, resumed.stderr
        asked = [body["messages"][-1]["content"] for body in model.asked]
        assert len(known) == answers
        assert known.isdisjoint(asked)
        assert len(asked) == len(set(asked)) == whole - answers
        assert of_files(job.directory) == of_files(workspace / "datasets" / "whole")
        for name in (datasets.REPORT, HELD_OUT_FILE):  # as a kill leaves them while the files are written
            (job.directory / name).unlink()
        model.asked.clear()
        assert through(model, documents, tiny, "killed", *options).returncode == 0
        assert not model.asked
    assert of_files(job.directory) == of_files(workspace / "datasets" / "whole")


def test_what_was_edited_is_not_written_over_and_what_was_accepted_stays(
    documents: Path, tiny: Path, workspace: Path
) -> None:
    folder = workspace / "datasets" / "d"

    def lying(body: dict[str, Any]) -> str:
        text = body["messages"][0]["content"].rpartition("Text:\n")[2].strip()
        good = {
            "question": f"Which words begin with {text[:9]}?",
            "answer": text[:30],
            "evidence": text.partition(".")[0],
        }
        bad = {"question": f"Who made {text[:11]}?", "answer": "A hero did.", "evidence": "a hero made it all"}
        return json.dumps({"rows": [good, bad]})

    with running() as model:
        model.answer = lying
        assert through(model, documents, tiny, "d").returncode == 0
        rejected = datasets.read(folder / datasets.REJECTED)
        assert len(rejected) == 5
        assert all("does not occur" in row["reason"] for row in rejected)
        listed = run("accept", "d")
        assert "a hero made it all" in listed.stdout
        assert run("accept", "d", "99").returncode == 2
        assert run("accept", "d", "2").returncode == 0
        taken = {key: value for key, value in rejected[1].items() if key not in ("reason", "held_out")}
        side = HELD_OUT_FILE if rejected[1]["held_out"] else TRAIN_FILE
        assert taken in datasets.read(folder / side)
        assert through(model, documents, tiny, "d").returncode == 0  # made again, it is still there
        assert taken in datasets.read(folder / side)
        assert len(datasets.read(folder / datasets.REJECTED)) == 4
        with (folder / TRAIN_FILE).open("a") as file:
            file.write('{"text": "mine"}\n')
        refused = through(model, documents, tiny, "d")
        assert refused.returncode == 2
        assert "edited by hand" in refused.stderr
    assert "mine" in (folder / TRAIN_FILE).read_text()


def test_what_was_done_by_hand_holds_when_it_is_made_again(documents: Path, tiny: Path, workspace: Path) -> None:
    folder = workspace / "datasets" / "d"
    assert prepared(documents, tiny, "d", "--author", "rules").returncode == 0
    gone, mended = datasets.read(folder / TRAIN_FILE)[:2]
    datasets.drop(folder, TRAIN_FILE, gone)
    datasets.edit(folder, TRAIN_FILE, mended, "Quite another answer.")
    before = of_files(folder)
    done = prepared(documents, tiny, "d", "--author", "rules", "--json")
    assert done.returncode == 0, done.stderr
    assert of_files(folder) == before
    report = next(json.loads(line)["data"] for line in done.stdout.splitlines() if '"report"' in line)
    assert report["by"]["hand"] == 1
    assert report["rejected"]["was dropped by hand"] == 1
    listed = run("accept", "d")
    assert "was dropped by hand" in listed.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--pairs", "0"], "pairs: must be 1 or more"),
        (["--key-env", "X"], "needs --endpoint"),
        (["--threshold", "5"], "needs --judge"),
        (["--judge", "--author", "rules"], "Nothing can judge"),
        (["--endpoint", "localhost:1234"], "url must begin with http"),
        (["--endpoint", "http://me:sk-secret@localhost:1234"], "url must hold no password"),
        (["--prompts", "/no/such"], "holds no prompt"),
    ],
)
def test_options_that_do_not_fit_are_a_sentence(documents: Path, tiny: Path, options: list[str], says: str) -> None:
    done = prepared(documents, tiny, "d", *options)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "sk-secret" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("named", ["nofile.pdf", "*.nothing", "light.md/below"])
def test_the_source_is_looked_for_before_the_model(documents: Path, workspace: Path, named: str) -> None:
    done = prepared(documents / named, Path("/no/model"), "d", "--author", "rules")
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: There is nothing at {documents / named}.")
    assert not (workspace / "datasets" / "d").exists()
    some = run("prepare", str(documents / named), str(documents), "--to", "d", "--model", "/no/model")
    assert "There is no model '/no/model'" in some.stderr  # the others are read all the same


def test_rows_are_looked_for_before_the_model(recipe_path: Path) -> None:
    for command in ("check", "train"):
        done = run(command, str(recipe_path), "--set", "model=/no/model", "--set", "data.path=/no/rows.jsonl")
        assert done.returncode == 2
        assert "There are no rows at /no/rows.jsonl: no such file." in done.stderr


def test_a_folder_with_other_files_is_left_alone(documents: Path, tiny: Path) -> None:
    done = prepared(documents, tiny, str(documents))
    assert done.returncode == 2
    assert "holds other files" in done.stderr
    assert sorted(file.name for file in documents.iterdir()) == ["bees.md", "light.md"]


def test_own_prompts_and_a_judge(documents: Path, tiny: Path, workspace: Path, tmp_path: Path) -> None:
    own = tmp_path / "prompts"
    own.mkdir()
    (own / "judge.j2").write_text("JUDGE {{ answer }}")

    def author(body: dict[str, Any]) -> str:
        text = body["messages"][0]["content"]
        if text.startswith("JUDGE"):
            return json.dumps({"rows": [{"score": 9 if "honey" in text.lower() else 3, "reason": "so"}]})
        line = text.rpartition("Text:\n")[2].partition(". ")[0]
        return json.dumps({"rows": [{"question": f"What of {line[:25]}?", "answer": line, "evidence": line}]})

    with running() as model:
        model.answer = author
        done = through(model, documents, tiny, "d", "--judge", "--prompts", str(own), "--held-out", "0")
    assert done.returncode == 0, done.stderr
    files = of_files(workspace / "datasets" / "d")
    assert [row["score"] for row in files[TRAIN_FILE]] == [9]
    assert {row["reason"] for row in files[datasets.REJECTED]} == {"was scored below 7: 3, so"}
    assert files[HELD_OUT_FILE] == []


@pytest.mark.parametrize("task", ["cot", "summary", "text"])
def test_other_tasks_by_rule(documents: Path, tiny: Path, workspace: Path, task: str) -> None:
    (documents / "long.md").write_text(
        "# All\n\n" + "\n\n".join(part.partition("\n\n")[2] for part in LIGHT.split("# "))
    )
    done = prepared(documents, tiny, "d", "--author", "rules", "--task", task)
    assert done.returncode == 0, done.stderr
    files = of_files(workspace / "datasets" / "d")
    rows = files[TRAIN_FILE] + files[HELD_OUT_FILE]
    assert rows
    assert grounded(rows, documents)
    assert all(("text" in row) is (task == "text") for row in rows)


def test_rows_are_said_in_other_words_and_the_answers_stay(rows: Path, tiny: Path, workspace: Path) -> None:
    def author(body: dict[str, Any]) -> str:
        asked = body["messages"][0]["content"].partition("Instruction:\n")[2].partition("\n")[0]
        return json.dumps({"rows": [{"instruction": f"kindly {asked}"}]})

    with running() as model:
        model.answer = author
        done = prepared(rows, tiny, "d", "--endpoint", model.url, "--task", "rewrite")
    assert done.returncode == 0, done.stderr
    files = of_files(workspace / "datasets" / "d")
    made = [row["messages"] for row in files[TRAIN_FILE] + files[HELD_OUT_FILE] if row["by"] == "model"]
    theirs = {row["messages"][0]["content"]: row["messages"][1] for row in files[TRAIN_FILE] + files[HELD_OUT_FILE]}
    assert len(made) == 40
    assert all(theirs[turns[0]["content"].removeprefix("kindly ")] == turns[1] for turns in made)


def test_stop_keeps_the_answers(documents: Path, tiny: Path, workspace: Path) -> None:
    with running() as model:
        model.hold = 2
        detached = through(model, documents, tiny, "d", "--concurrency", "1", "--detach")
        job = processes.Job(Path(detached.stdout.strip()))
        until(lambda: model.answered.total() == 2 and len(model.asked) == 3)
        assert run("stop", "d").returncode == 0
        until(lambda: '"stopping"' in (job.directory / "events.jsonl").read_text())
        model.hold = None
        model.gate.set()
        until(lambda: not job.alive)
        state = [json.loads(line) for line in job.lines()][-1]
        assert (state["event"], state["outcome"]) == ("finished", "stopped")
        model.asked.clear()
        assert run("resume", "d").returncode == 0
        assert len(model.asked) <= 3  # of 5: two answers were kept, the third if it came in time
    assert datasets.read(workspace / "datasets" / "d" / TRAIN_FILE)
