"""Whole runs, as a user has them: to the end, stopped, killed, resumed, refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from gemmalocal.errors import JobBusy
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.events import Sample, Step
from gemmalocal.recipe import recipe_file
from tests.children import killed_at, until, until_ended
from tests.here import apart, run, work


def described(recipe: Path, *overrides: str) -> dict[str, Any]:
    """What a run's job is told."""
    return recipe_file.load(str(recipe), overrides).model_dump(mode="json")


def start(home: Path, name: str, recipe: Path, *overrides: str) -> processes.Job:
    return processes.start(home / "runs" / name, "train", described(recipe, *overrides))


def finished(home: Path, name: str, recipe: Path, *overrides: str) -> processes.Job:
    """The same to its end, in this process."""
    return work(home / "runs" / name, "train", described(recipe, *overrides))


def steps_seen(job: processes.Job) -> int:
    return len(history.read(job.directory).steps)


def weights(folder: Path) -> dict[str, Any]:
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all((left[name] == right[name]).all() for name in left)


def test_a_recipe_trains_to_a_tuned_adapter(recipe_path: Path, workspace: Path) -> None:
    done = apart("train", str(recipe_path), "--name", "one", "--json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "started"
    assert kinds[-1] == "finished"
    steps = [event for event in events if event["event"] == "step"]
    assert [step["step"] for step in steps] == list(range(1, 13))
    assert all(step["tokens"] > 0 and step["memory"] > 0 and step["grad_norm"] > 0 for step in steps)
    losses = [event["loss"] for event in events if event["event"] == "evaluated"]
    assert losses[-1] < losses[0]
    assert [event["when"] for event in events if event["event"] == "sample"][:1] == ["before"]
    assert kinds.index("evaluated") < kinds.index("step")
    folder = workspace / "runs" / "one"
    assert (folder / "events.jsonl").read_text().splitlines() == done.stdout.splitlines()
    assert json.loads((folder / "adapter" / "adapter_config.json").read_text())["r"] == 4
    listed = json.loads(run("runs", "--json").stdout)
    assert (listed["name"], listed["status"], listed["step"]) == ("one", "done", 12)
    assert run("resume", "one").returncode == 1
    assert run("train", str(recipe_path), "--name", "one").returncode == 2


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize("after", [1, 5, 8])
def test_killed_and_resumed_equals_never_killed(recipe_path: Path, workspace: Path, after: int) -> None:
    whole = finished(workspace, "whole", recipe_path)
    job = killed_at(workspace / "runs" / "killed", "train", described(recipe_path), "Step", after)
    assert history.read(job.directory).status == "killed"
    with (job.directory / "events.jsonl").open("a") as torn:
        torn.write('{"event": "st')  # what a kill in the middle of a write leaves
    done = run("resume", "killed")
    assert done.returncode == 0, done.stderr
    state = history.read(job.directory)
    assert state.status == "done"
    assert [step.step for step in state.steps] == list(range(1, 13))
    truth = history.read(whole.directory)
    assert [step.loss for step in state.steps] == [step.loss for step in truth.steps]
    assert [item.loss for item in state.evaluations] == [item.loss for item in truth.evaluations]
    assert same(weights(job.directory), weights(whole.directory))


@pytest.mark.usefixtures("forks")
def test_stop_finishes_the_step_and_saves(recipe_path: Path, workspace: Path) -> None:
    job = start(workspace, "long", recipe_path, "train.steps=100000", "train.evaluate_every=100000")
    until(lambda: steps_seen(job) >= 2, job)
    assert run("stop", "long").returncode == 0
    until_ended(job)
    state = history.read(job.directory)
    assert state.status == "stopped"
    assert state.saved is not None
    assert state.saved.step == state.steps[-1].step
    assert (job.directory / "adapter" / "adapter_model.safetensors").is_file()
    assert run("stop", "long").returncode == 1


@pytest.mark.usefixtures("forks")
def test_stop_is_heard_while_prompts_are_answered(recipe_path: Path, workspace: Path) -> None:
    prompts = json.dumps(["the quote of a:"] * 10_000)
    job = start(workspace, "talking", recipe_path, f"samples.prompts={prompts}", "samples.max_tokens=50")
    until(lambda: history.read(job.directory).samples, job)
    job.ask(do="stop")
    until_ended(job)
    state = history.read(job.directory)
    assert state.status == "stopped"
    assert len(state.samples) < 10_000
    assert state.steps[-1].step == 1


def test_two_watchers_and_no_second_start(recipe_path: Path, workspace: Path) -> None:
    job = start(workspace, "busy", recipe_path, "train.steps=100000")
    with pytest.raises(JobBusy):
        start(workspace, "busy", recipe_path)
    other = processes.Job(job.directory)
    until(lambda: any(isinstance(event, Step) for event in other.poll()), job)
    assert job.alive
    assert other.alive
    other.kill()
    until_ended(job)
    assert history.read(job.directory).status == "killed"
    watched = run("watch", "busy")
    assert watched.returncode == 4
    assert "gemmalocal resume busy" in watched.stderr


def test_early_stop_keeps_the_best(recipe_path: Path, workspace: Path) -> None:
    job = finished(
        workspace, "early", recipe_path, "train.steps=400", "train.evaluate_every=2", "train.early_stop=2",
        "train.learning_rate=0.3", "train.keep=1",
    )  # fmt: skip
    state = history.read(job.directory)
    assert state.status == "early"
    assert state.best is not None
    assert state.steps[-1].step < 400
    tried = [item for item in state.evaluations if item.step]
    best = min(tried, key=lambda item: item.loss)
    names = {folder.name for folder in (job.directory / "checkpoints").iterdir()}
    assert f"{best.step:06d}" in names
    assert len(names) <= 2


def test_check_shows_what_is_trained(recipe_path: Path, rows: Path) -> None:
    with rows.open("a") as file:
        file.write('\n{"prompt": "x"}\nnot json\n')
    done = run("check", str(recipe_path), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["shape"] == "prompt"
    assert report["train"]["rows"] + report["held_out"]["rows"] + report["duplicates"] == 40
    assert {source for kind in report["problems"] for source in kind["sources"]} == {"rows.jsonl:41", "rows.jsonl:42"}
    learned = "".join(text for text, supervised in report["rows"][0]["pieces"] if supervised)
    assert learned.endswith("<eos>")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["train", "no-such-recipe"], 2, "no recipe"),
        (["train", "RECIPE", "--set", "model=/no/such/model"], 3, "no model"),
        (["train", "RECIPE", "--set", "model=google/gemma-2b"], 3, "not on this disk"),
        (["train", "RECIPE", "--set", "data.path=/no/such/rows.jsonl"], 2, "no such file"),
        (["train", "RECIPE", "--name", "../evil"], 2, "cannot be a run's name"),
        (["watch", "nobody"], 2, "no run"),
        (["train"], 2, "Missing argument"),
    ],
)
def test_errors_are_a_sentence_and_an_exit_code(recipe_path: Path, words: list[str], code: int, says: str) -> None:
    done = run(*(str(recipe_path) if word == "RECIPE" else word for word in words))
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_model_of_another_kind_is_refused_with_a_sentence(recipe_path: Path, tiny: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    shutil.copytree(tiny, foreign)
    (foreign / "config.json").write_text('{"model_type": "resnet", "depths": [3, 4]}')
    done = run("check", str(recipe_path), "--set", f"model={foreign}")
    assert done.returncode == 3
    assert "does not describe a text model" in done.stderr
    assert "Traceback" not in done.stderr


def test_samples_and_accumulation_do_what_they_say(recipe_path: Path, workspace: Path) -> None:
    one = finished(workspace, "a", recipe_path, "lora.dropout=0", "train.steps=4", "samples.during=false")
    split = ("train.batch_size=1", "train.accumulation=4", "train.micro_batch=1", "train.evaluation_rows=2")
    two = finished(workspace, "b", recipe_path, "lora.dropout=0", "train.steps=4", *split)
    first, second = history.read(one.directory), history.read(two.directory)
    assert [step.tokens for step in first.steps] == [step.tokens for step in second.steps]
    assert [step.loss for step in first.steps] == pytest.approx([step.loss for step in second.steps], rel=1e-3)
    assert second.evaluations[0].tokens < first.evaluations[0].tokens
    assert any(notice.startswith("2 of ") for notice in second.notices)
    assert {sample.when for sample in first.samples} == {"before", "after"}
    assert {sample.when for sample in second.samples} == {"before", "during", "after"}
    assert all(isinstance(sample, Sample) for sample in first.samples)
