"""A run answers the prompts of rows, a judge or the rows themselves decide, and pairs come of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.jobs import processes
from gemmalocal.jobs.event_lines import decode
from gemmalocal.jobs.events import Progress, Read
from gemmalocal.jobs.plurals import counted
from gemmalocal.workspace import datasets
from tests.here import run
from tests.synthesis.server import Body, Model, running

PROMPTS = [f"the {letter}:" for letter in "abcdefghijkl"]


@pytest.fixture
def server() -> Iterator[Model]:
    with running() as model:
        yield model


@pytest.fixture(scope="module")
def learned(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a run that ends its answers, and beside it the rows that it learned from."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = [{"prompt": prompt, "completion": f" the a{' an' * (place % 3)}"} for place, prompt in enumerate(PROMPTS)]
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, [*rows, rows[0], {"text": "no prompt"}])))
    (folder / "tiny.yaml").write_text(
        f"model: {tiny}\ndata: {{path: prompts.jsonl, max_length: 64, split: 0}}\nlora: {{rank: 4, alpha: 8}}\n"
        "train: {steps: 40, batch_size: 4, learning_rate: 1e-2}\n"
    )
    done = run("train", str(folder / "tiny.yaml"), "--name", "mine", home=folder / "home")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def trained(learned: Path, tmp_path: Path) -> str:
    """The same in this test's workspace."""
    shutil.copytree(learned, tmp_path, dirs_exist_ok=True)
    return "mine"


def prepare(tmp_path: Path, *words: str) -> tuple[int, str]:
    common = ("--task", "pairs", "--to", "pairs", "--answer-tokens", "16", *words)
    done = run("prepare", str(tmp_path / "prompts.jsonl"), *common)
    return done.returncode, done.stdout + done.stderr


def rows() -> list[dict[str, Any]]:
    folder = datasets.find("pairs")
    return [row for name in ("train.jsonl", "held_out.jsonl") for row in datasets.read(folder / name)]


def longer(body: Body) -> str:
    """What a judge says who likes the longer answer, wherever it stands."""
    text = body["messages"][-1]["content"]
    first, second = (text.partition(f"Answer {letter}:")[2].partition("Answer ")[0] for letter in "AB")
    return json.dumps({"better": "A" if len(first.strip()) > len(second.strip()) else "B", "reason": "r"})


def first(body: Body) -> str:
    return json.dumps({"better": "A", "reason": "it stands first"})


def test_a_judge_chooses_in_both_orders(trained: str, tmp_path: Path, server: Model) -> None:
    server.answer = longer
    words = ("--run", trained, "--judge-endpoint", server.url)
    code, said = prepare(tmp_path, *words)
    assert code == 0, said
    made = rows()
    assert f"{counted(len(made), 'pair')} of 12 prompts" in said
    events = list(map(decode, (datasets.find("pairs") / "events.jsonl").read_text(encoding="utf-8").splitlines()))
    assert [(Path(event.source).name, event.passages) for event in events if isinstance(event, Read)] == [
        ("prompts.jsonl", len(PROMPTS))
    ]
    told = [event.done for event in events if isinstance(event, Progress) and event.what == "prompts answered"]
    assert told == sorted(set(told))
    assert told[-1] == len(PROMPTS)
    assert len(told) > 3  # within a batch of four, too: some answers are ended before others
    assert {row["by"] for row in made} == {"judge"}
    assert {row["chosen_by"] for row in made} == {"mine"}
    for row in made:
        better, worse = (row[side][0]["content"] for side in ("chosen", "rejected"))
        assert len(better) >= len(worse)
        assert better != worse
    assert len({row["prompt"][-1]["content"] for row in made}) == len(made)
    checked = run("check", str(tmp_path / "tiny.yaml"), "--set", "data.path=pairs", "--set", "objective.kind=dpo")
    assert "preference" in checked.stdout + checked.stderr


def test_what_was_answered_is_not_asked_again(trained: str, tmp_path: Path, server: Model) -> None:
    server.answer = longer
    words = ("--run", trained, "--judge-endpoint", server.url)
    assert prepare(tmp_path, *words)[0] == 0
    made, asked = rows(), len(server.asked)
    answered = (datasets.find("pairs") / "answered.jsonl").read_bytes()
    assert prepare(tmp_path, *words)[0] == 0
    assert (rows(), len(server.asked)) == (made, asked)
    assert (datasets.find("pairs") / "answered.jsonl").read_bytes() == answered
    kept = answered.splitlines(keepends=True)
    (datasets.find("pairs") / "answered.jsonl").write_bytes(kept[0] + kept[1][:20])  # as a kill leaves it
    assert prepare(tmp_path, *words)[0] == 0
    assert rows() == made


def test_a_judge_that_goes_by_the_place_makes_no_pair(trained: str, tmp_path: Path, server: Model) -> None:
    server.answer = first
    code, said = prepare(tmp_path, "--run", trained, "--judge-endpoint", server.url)
    assert code == 2
    assert "goes by their places" in said


def test_without_a_judge_the_rows_own_answers_decide(trained: str, tmp_path: Path) -> None:
    code, said = prepare(tmp_path, "--run", trained, "--temperature", "1.5", "--rows", "8")
    assert "prompts" in said
    if code == 0:
        assert "decided by the rows' own answers" in said
        assert {row["by"] for row in rows()} == {"reference"}
    else:  # a model of two layers may say nothing that is like the rows
        assert "No two answers were told apart" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "run and the task pairs go together"),
        (("--run", "mine", "--temperature", "0"), "both answers are the same"),
        (("--run", "mine", "--judge"), "name the judge of pairs"),
        (("--run", "nobody"), "There is no run 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_said(trained: str, tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    code, said = prepare(tmp_path, *words)
    assert code == 2
    assert sentence in said


def test_base_and_run_answer_greedily(trained: str, tmp_path: Path, server: Model) -> None:
    server.answer = longer
    code, said = prepare(tmp_path, "--run", trained, "--answers", "base", "--judge-endpoint", server.url)
    spec = json.loads((datasets.folder_of("pairs") / "job.json").read_text())["spec"]
    assert spec["temperature"] == 0
    if code == 0:
        assert {row["chosen_by"] for row in rows()} <= {"base", "mine"}
        assert all({row["chosen_by"], row["rejected_by"]} == {"base", "mine"} for row in rows())
    else:
        assert "are equal" in said or "cut off" in said
    assert not processes.Job(datasets.folder_of("pairs")).alive
