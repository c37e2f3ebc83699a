"""More steps than were planned: the same as if they had been, where the rate does not depend on it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gemmalocal.engine import checkpoints, loop
from gemmalocal.engine.pause import PauseControl
from gemmalocal.errors import GemmalocalError, RecipeError
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import Finished, Step
from gemmalocal.pipelines.train import _changed_length
from gemmalocal.planning.pressure import Level, Strain
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schema import TrainSpec
from gemmalocal.workspace.runs import resume
from tests.engine.test_divergence import attempt, only
from tests.engine.toy import Toy, work


def test_a_finished_run_goes_on_as_if_it_had_been_planned_so(tmp_path: Path) -> None:
    planned, longer = Toy(), Toy()
    whole = only(Step, list(attempt(work(tmp_path / "planned", 20), planned)))
    first = only(Step, list(attempt(work(tmp_path / "longer", 12), Toy())))
    second = only(Step, list(attempt(work(tmp_path / "longer", 20), longer)))
    assert [step.step for step in second] == list(range(13, 21))
    assert [(step.loss, step.learning_rate) for step in [*first, *second]] == [
        (step.loss, step.learning_rate) for step in whole
    ]
    assert (longer.weight, longer.momentum, longer.draws) == (planned.weight, planned.momentum, planned.draws)
    assert checkpoints.standing(tmp_path / "longer" / "000020") == checkpoints.standing(tmp_path / "planned" / "000020")


def test_one_that_was_killed_as_it_stopped_early_does_not_go_on(tmp_path: Path) -> None:
    list(attempt(work(tmp_path, 8), Toy()))
    job = work(tmp_path, 40, early_stop=5)
    standing = loop.resume(job, Toy())
    standing.unimproved = 5
    brake = PauseControl(lambda: False, lambda: Strain(Level.NORMAL))
    events = list(loop.train(job, Toy(), standing, brake, lambda step: iter(())))
    (ending,) = events
    assert isinstance(ending, Finished)
    assert (ending.outcome, ending.message) == ("early", "8 of 40 steps")


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ("constant", "the learning rate stays what it was"),
        ("cosine", "now follows a cosine of 200 steps, from 0.15"),
        ("linear", "now follows a linear of 200 steps, from 0.15"),
    ],
)
def test_what_becomes_of_the_rate_is_said(tmp_path: Path, schedule: str, says: str) -> None:
    job = work(tmp_path, 200, schedule=schedule)
    last = Step(100, 100, 1.0, 9, 1e-5, 1.0, 0.1, 1)
    standing = checkpoints.TrainState(100)
    (told,) = _changed_length(job, standing, last)
    assert "200 steps in all, planned were 100" in told.text
    assert says in told.text
    assert not list(_changed_length(job, standing, Step(100, 200, 1.0, 9, 1e-5, 1.0, 0.1, 1)))
    assert not list(_changed_length(job, checkpoints.TrainState(), last))
    with pytest.raises(RecipeError, match="trained 201 steps, and 200 in all"):
        list(_changed_length(job, checkpoints.TrainState(201), last))


def test_what_becomes_of_the_time_is_said(tmp_path: Path) -> None:
    job = work(tmp_path, 1)
    spec = TrainSpec.model_validate({**job.spec.model_dump(), "steps": None, "minutes": 40})
    timed = replace(job, spec=spec, steps=None)
    planned = {"box": 1200.0, "spent": 1140.0}
    (told,) = _changed_length(timed, checkpoints.TrainState(9, time=planned), None)
    assert told.text == "it goes on to 40 minutes in all, of which 19 min are spent; planned were 20"
    assert not list(_changed_length(timed, checkpoints.TrainState(9, time={**planned, "box": 2400.0}), None))
    counted = work(tmp_path, 50, schedule="linear")
    last = Step(9, 12, 1.0, 9, 1e-5, 1.0, 0.1, 1, left=60.0)
    (told,) = _changed_length(counted, checkpoints.TrainState(9, time=planned), last)
    assert told.text.startswith("it goes on to 50 steps in all, planned were 20 minutes;")


def ended(workspace: Path, outcome: str, minutes: float | None = None) -> Path:
    """A run of 100 steps as it lies on the disk."""
    folder = workspace / "runs" / "r"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"kind": "train", "spec": {"train": {"minutes": minutes}}}))
    recipe = recipe_file.load("quotes", ["train.early_stop=3"])
    (folder / "recipe.yaml").write_text(recipe_file.dump(recipe))
    events = [Step(100, 100, 1.0, 9, 1e-5, 1.0, 0.1, 1), Finished(outcome)]
    (folder / "events.jsonl").write_text("".join(f"{encode(event, 0)}\n" for event in events))
    return folder


@pytest.mark.parametrize(
    ("outcome", "items", "says"),
    [
        ("done", [], "--set train.steps=200"),
        ("done", ["train.micro_batch=1"], "has finished already"),
        ("done", ["train.steps=100"], "trained 100 steps; train.steps=100 is not more"),
        ("done", ["train.steps=nan"], "train.steps"),
        ("done", ["lora.rank=4"], "lora.rank cannot change"),
        ("done", ["data.path=x"], "gemmalocal train"),
        ("early", [], "--set train.early_stop=null"),
        ("early", ["train.steps=200"], "stopped early, at step 100"),
        ("stopped", ["train.steps=50"], "trained 100 steps; train.steps=50 is not more"),
        ("done", ["train.minutes=3"], "has had its 3 minutes; train.minutes=3 is not more"),
    ],
)
def test_what_cannot_go_on_says_why_and_how(workspace: Path, outcome: str, items: list[str], says: str) -> None:
    with pytest.raises(GemmalocalError) as caught:
        resume(ended(workspace, outcome, 3 if "minutes" in says else None), items)
    assert says in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("outcome", "items"),
    [
        ("done", ["train.steps=200"]),
        ("done", ["train.epochs=9"]),
        ("done", ["train.minutes=9"]),
        ("early", ["train.early_stop=null"]),
        ("early", ["train.early_stop=9", "train.steps=200"]),
        ("stopped", ["train.steps=150", "train.micro_batch=1"]),
    ],
)
def test_what_goes_on_keeps_the_recipe(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, outcome: str, items: list[str]
) -> None:
    begun: list[dict[str, object]] = []

    def start(folder: Path, kind: str, spec: dict[str, object]) -> processes.Job:
        begun.append(spec)
        return processes.Job(folder)

    monkeypatch.setattr(processes, "start", start)
    folder = ended(workspace, outcome)
    resume(folder, items)
    kept = recipe_file.load(str(folder / "recipe.yaml"))
    assert begun == [kept.model_dump(mode="json")]
    assert history.read(folder).steps[-1].steps == 100
    train = kept.train.model_dump()
    for item in items:
        key, _, value = item.removeprefix("train.").partition("=")
        assert train[key] == (None if value == "null" else int(value))
