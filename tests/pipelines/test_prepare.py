"""Documents to datasets: by rules, by a model of this machine, by each task, and on to training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from gemmalocal.data import token_store
from gemmalocal.data.tokenizer import TURNS, Tokenizer
from gemmalocal.engine.generation import ChatModel
from gemmalocal.jobs.events import Event
from gemmalocal.pipelines.shared.chat_models import load_chat_models
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import datasets, ratings
from tests.here import run
from tests.pipelines.preparations import LIGHT, documents, grounded, of_files, prepared, through, told
from tests.synthesis.server import quiz, running

__all__ = ["documents"]  # a fixture


def test_rules_alone_make_rows_that_a_recipe_trains_on(
    documents: Path, tiny: Path, recipe_path: Path, workspace: Path
) -> None:
    (documents / "picture.xyz").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = prepared(documents, tiny, "mine", "--author", "rules", "--held-out", "0.5", "--json")
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
    assert report["held_out"]["rows"] == len(files[HELD_OUT_FILE]) > 2
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
        done = through(
            model, documents, tiny, "d", "--no-round-trip", "--judge", "--prompts", str(own), "--held-out", "0"
        )
    assert done.returncode == 0, done.stderr
    files = of_files(workspace / "datasets" / "d")
    assert [row["score"] for row in files[TRAIN_FILE]] == [9]
    assert {row["reason"] for row in files[datasets.REJECTED]} == {"was scored below 8: 3, so"}
    assert files[HELD_OUT_FILE] == []


def scores(body: dict[str, Any]) -> str:
    """An author whose rows are of two kinds, and a judge of each: 7 for what is of honey, else 8."""
    text = body["messages"][0]["content"]
    if text.startswith("Score"):
        question = text.rpartition("Question:")[2].lower()
        return json.dumps({"rows": [{"score": 7 if "honey" in question else 8, "reason": "so"}]})
    return quiz(body)


def test_a_judge_of_its_own_counts_for_more_than_the_author_and_a_persons_choice_for_most(
    documents: Path, tiny: Path, workspace: Path
) -> None:
    with running() as model:
        model.answer = scores
        own = told(through(model, documents, tiny, "d", "--judge", "--json"))
        assert (own["judge"]["same_model"], own["judge"]["threshold"]) == (True, 8)
        assert own["judge"]["scores"] == {"8": own["judge"]["scores"]["8"], "7": own["rejected"]["was scored below 8"]}
        model.asked.clear()
        other = told(through(model, documents, tiny, "d", "--judge-model", "strict", "--json"))
        assert {body.get("model") for body in model.asked} == {"strict"}  # the author's answers are known
        assert other["judge"] | {"scores": {}} == {
            "by": f"strict at {model.url}",
            "same_model": False,
            "threshold": 7,
            "chosen_by_you": False,
            "scores": {},
        }
        assert "was scored below 7" not in other["rejected"]
        ratings.choose(workspace / "datasets" / "d", 8)
        again = told(through(model, documents, tiny, "d", "--judge-model", "strict", "--json"))
        assert (again["judge"]["threshold"], again["judge"]["chosen_by_you"]) == (8, True)
        assert again["rejected"]["was scored below 8"] == own["rejected"]["was scored below 8"]
        by_rules = told(prepared(documents, tiny, "e", "--author", "rules", "--judge-endpoint", model.url, "--json"))
        assert by_rules["judge"]["by"] == f"listed at {model.url}"
        spoken = through(model, documents, tiny, "d2", "--judge")
    assert "judged by the model that wrote the rows; a score of 8 is needed, one more than" in spoken.stderr
    base = prepared(documents, tiny, "f", "--author", "rules", "--judge-model", str(tiny))
    assert base.returncode == 2
    assert "cannot judge: it is a base model" in base.stderr


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
