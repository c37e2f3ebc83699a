"""A teacher answers the prompts of rows, and the best of several answers becomes a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.evaluation import metrics
from gemmalocal.pipelines.shared.answer_rows import Tries, _by_reference, _tries
from gemmalocal.pipelines.shared.asked_rows import Question
from gemmalocal.records import Message
from gemmalocal.workspace import datasets
from tests.here import run
from tests.pipelines.test_prepare_pairs import learned, longer, server, trained
from tests.synthesis.server import Model

__all__ = ["learned", "server", "trained"]


def prepare(tmp_path: Path, *words: str) -> tuple[int, str]:
    common = ("--task", "answers", "--to", "taught", "--answer-tokens", "16", *words)
    done = run("prepare", str(tmp_path / "prompts.jsonl"), *common)
    return done.returncode, done.stdout + done.stderr


def rows() -> list[dict[str, Any]]:
    folder = datasets.find("taught")
    return [row for name in ("train.jsonl", "held_out.jsonl") for row in datasets.read(folder / name)]


def test_a_judge_keeps_the_best_of_several_and_nothing_is_asked_twice(
    trained: str, tmp_path: Path, server: Model
) -> None:
    server.answer = longer
    words = ("--model", trained, "--tries", "3", "--judge-endpoint", server.url)
    code, said = prepare(tmp_path, *words)
    assert code == 0, said
    made, asked = rows(), len(server.asked)
    assert f"{len(made)} answers of mine to 12 prompts" in said
    assert "Gemma Terms of Use" in said
    assert {(row["by"], row["teacher"]) for row in made} == {("teacher", "mine")}
    assert len({row["messages"][0]["content"] for row in made}) == len(made)
    lines = (datasets.find("taught") / "answered.jsonl").read_text().splitlines()
    said_by = [text for line in lines for text in json.loads(line)["texts"]]
    for row in made:
        assert row["messages"][-1]["content"] in said_by
    assert prepare(tmp_path, *words)[0] == 0
    assert (rows(), len(server.asked)) == (made, asked)
    checked = run("check", str(tmp_path / "tiny.yaml"), "--set", "data.path=taught")
    assert checked.returncode == 0, checked.stderr


def test_one_greedy_answer_needs_no_judge(trained: str, tmp_path: Path) -> None:
    code, said = prepare(tmp_path, "--model", trained, "--tries", "1")
    spec = json.loads((datasets.folder_of("taught") / "job.json").read_text())["spec"]
    assert (spec["temperature"], spec["tries"]) == (0, 1)
    assert "prompts" in said if code == 0 else "No answer is left" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--tries", "2", "--temperature", "0"), "all answers are the same"),
        (("--endpoint", "http://localhost:1"), "a model on this machine"),
        (("--judge",), "name the judge of answers"),
        (("--model", "nobody"), "There is no model 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_said(trained: str, tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    code, said = prepare(tmp_path, *words)
    assert code
    assert sentence in said


def test_a_base_model_answers_nothing(trained: str, tiny: Path, tmp_path: Path) -> None:
    code, said = prepare(tmp_path, "--model", str(tiny))
    assert code == 2
    assert "it is a base model" in said


def test_of_what_can_be_checked_an_answer_that_is_right_is_kept() -> None:
    question = Question("r", (Message("user", "What is 2 plus 2?"),), "4")
    tries = _tries(question, ["It is 5", "4", "", "It is 4", "4"], [3, 1, 0, 3, 1], [True, True, True, False, True])
    assert tries == Tries(question, ("It is 5", "4"), (3, 1))
    number = metrics.metric("number", ["4"])
    assert _by_reference(number, tries) == 1
    assert _by_reference(number, Tries(question, ("It is 5",), (3,))) is None
    assert _tries(question, ["It is"], [3], [False]) == "has no answer that ended by itself"
    assert _tries(question, [""], [0], [True]) == "has empty answers alone"
    free = metrics.metric("rouge", ["the cat sat on the mat"])
    asked = Question("r", question.prompt, "the cat sat on the mat")
    assert _by_reference(free, Tries(asked, ("a dog", "the cat sat on a mat"), (2, 6))) == 1
