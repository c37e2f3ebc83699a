"""A search before a run: the same winner however it is stopped or killed; rows that chose are in no report."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from gemmalocal.api.handles import Run
from gemmalocal.data import token_store
from gemmalocal.files import atomic
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Evaluated, Report, Trial, Tried
from gemmalocal.jobs.processes import Job
from gemmalocal.pipelines import train
from gemmalocal.pipelines.shared import search_bench
from gemmalocal.recipe import recipe_file, search
from gemmalocal.recipe.schema import Recipe
from gemmalocal.workspace import runs
from tests.children import killed_at
from tests.here import run, work

RATES = "train.learning_rate=1e-4,3e-2,1e2"


def described(recipe: Path, *items: str) -> dict[str, Any]:
    return recipe_file.load(str(recipe), ["search.trials=3", *items]).model_dump(mode="json")


def searched(folder: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((folder / "search.json").read_text())
    return known


def losses(folder: Path) -> list[Any]:
    return [(result["rung"], result["trial"], result["loss"]) for result in searched(folder)["results"]]


def test_tune_tries_rates_and_trains_by_the_best(recipe_path: Path, workspace: Path) -> None:
    done = run("tune", str(recipe_path), "--over", RATES, "--set", "train.steps=50", "--name", "one")
    assert done.returncode == 0, done.stderr
    folder = workspace / "runs" / "one"
    state = history.read(folder)
    assert (state.kind, state.status, state.steps[-1].step) == ("train", "done", 50)
    assert [trial.loss is None for trial in state.tried] == [False, False, True]
    assert (searched(folder)["winner"], state.steps[0].learning_rate) == (1, 3e-2)
    assert "the search chose learning_rate 0.03" in done.stderr
    assert "learning_rate 100                diverged" in done.stderr
    assert "| learning_rate 0.03 |" in (folder / "search.md").read_text()
    kept = history.spec(folder)["train"]
    assert (kept["learning_rate"], kept["checkpointing"]) == (3e-2, "auto")
    assert not (folder / "search").exists()
    (behind,) = [row["behind"] for row in searched(folder)["table"] if row["trial"] == "learning_rate 0.0001"]
    assert 0 < behind[1] < behind[0] < behind[2]


@pytest.mark.parametrize("last", range(4))
def test_what_searches_again_is_kept_wherever_the_choice_is_cut(
    recipe_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    """So many files are written before the end; who goes on reads the recipe that the job has then."""
    written = Recipe.model_validate(described(recipe_path))
    chosen = search.applied(written, {"train.learning_rate": 3e-2})
    job, write, left = tmp_path / "job.json", atomic.write_text, [last]
    job.write_text(json.dumps({"kind": "train", "spec": written.model_dump(mode="json")}))
    (tmp_path / runs.RECIPE).write_text(recipe_file.dump(written))

    def cut(path: Path, text: str) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        write(path, text)

    monkeypatch.setattr(atomic, "write_text", cut)
    with suppress(KeyboardInterrupt):
        search_bench.put(chosen, written, tmp_path)
    monkeypatch.undo()
    search_bench.put(chosen, Recipe.model_validate(history.spec(tmp_path)), tmp_path)
    assert recipe_file.load(str(tmp_path / runs.SEARCHED), []) == written
    plain = recipe_file.load(str(tmp_path / runs.RECIPE), [])
    assert (plain.search.on, plain.train.learning_rate) == (False, 3e-2)


def test_the_rows_that_choose_are_neither_trained_on_nor_in_a_report(recipe_path: Path, workspace: Path) -> None:
    folder = work(workspace / "runs" / "one", "train", described(recipe_path, "train.steps=8")).directory
    plain = work(workspace / "runs" / "two", "train", described(recipe_path, "search.trials=0")).directory
    train_rows, held_out, known = token_store.load(folder / "examples")
    sides = [set(side.tolist()) for side in (train_rows.indices, held_out.indices, np.array(known["tune"]))]
    assert sum(map(len, sides)) == len(set().union(*sides)) == 40
    assert sides[1] == set(token_store.load(plain / "examples")[1].indices.tolist())  # a report's rows stay the same
    tune = train_rows.stored_at(np.array(known["tune"]))
    assert history.read(folder).evaluations[-1].tokens == tune.supervised


def test_other_adapters_are_tried_over_the_same_rows(recipe_path: Path, workspace: Path) -> None:
    over = 'search.over=["lora.rank=2,8", "train.learning_rate=3e-2,1e-4"]'
    folder = workspace / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(recipe_path.read_text())
    work(folder, "train", described(recipe_path, over, "search.trials=4"))
    state = history.read(folder)
    assert state.status == "done"
    assert "rank" in state.tried[0].words
    assert (folder / "events.jsonl").read_text().count('"loading the weights"') == 1
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    best = searched(folder)["trials"][searched(folder)["winner"]]
    assert (config["r"], best["train.learning_rate"]) == (best["lora.rank"], 3e-2)
    kept, again = (recipe_file.load(str(folder / name)) for name in (runs.RECIPE, runs.SEARCHED))
    assert (kept.lora.rank, kept.train.learning_rate, kept.search.on) == (config["r"], 3e-2, False)
    assert (again.lora.rank, again.search.over) == (4, ["lora.rank=2,8", "train.learning_rate=3e-2,1e-4"])
    run_of = Run(folder)
    assert (run_of.searched, run_of.recipe["search"]) == (folder / runs.SEARCHED, {})
    assert recipe_file.changed(run_of.recipe, {}).lora.rank == config["r"]


def killed(folder: Path, spec: dict[str, Any], after: int) -> Path:
    """A run that ends in the midst of the trial after so many; after the last one, before its own first step."""
    folder.mkdir(parents=True)
    (folder / "events.jsonl").touch()
    (folder / "job.json").write_text(json.dumps({"kind": "train", "spec": spec}))
    tried = 0
    for event in train.run(spec, folder, list):
        tried += isinstance(event, Tried)
        if tried == after and isinstance(event, Trial | Evaluated):
            break
    return folder


def drawn_points(whole: Path) -> list[tuple[str, int]]:
    """Events of a whole search right after which one dies: drawn in each rung, between trials, and from there on."""
    random, events = Random(20), Job(whole).poll()
    trials = [event for event in events if isinstance(event, Trial)]
    first = sum(trial.rung == 0 for trial in trials)
    tried = sum(isinstance(event, Tried) for event in events)
    reports = [event for event in events if isinstance(event, Report)]
    chosen = next(number for number, told in enumerate(reports, 1) if "search" in told.data)
    return [
        ("Trial", random.randint(1, first)),
        ("Trial", random.randint(first + 1, len(trials))),
        ("Tried", random.randint(1, tried)),
        ("Report", chosen + 1),  # the run has the winner's recipe, and no checkpoint yet
    ]


def test_killed_at_any_point_it_comes_to_the_same_end(recipe_path: Path, workspace: Path) -> None:
    """With one projection and one row a step: how much a step computes plays no part."""
    over = 'search.over=["train.learning_rate=1e-4,1e-3,3e-2", "lora.rank=4"]'
    small = ["train.batch_size=1", "lora.target_modules=[q_proj]", "samples.prompts=[]"]
    spec = described(recipe_path, over, "search.share=0.9", "train.steps=63", "train.save_every=63", *small)
    whole = work(workspace / "runs" / "whole", "train", spec).directory
    assert [rung[0] for rung in searched(whole)["rungs"]] == [3, 2]
    same = [(step.step, step.loss, step.learning_rate) for step in history.read(whole).steps]
    for number, (event, count) in enumerate(drawn_points(whole)):
        folder = workspace / "runs" / f"killed-{number}"
        killed_at(folder, "train", spec, event, count)
        work(folder, "train", history.spec(folder))
        assert losses(folder) == losses(whole), (event, count)
        assert searched(folder)["winner"] == searched(whole)["winner"]
        assert [(step.step, step.loss, step.learning_rate) for step in history.read(folder).steps] == same


def test_a_stop_in_a_trial_is_gone_on_from(recipe_path: Path, workspace: Path) -> None:
    folder = workspace / "runs" / "one"
    folder.mkdir(parents=True)
    spec = described(recipe_path)
    (folder / "job.json").write_text(json.dumps({"kind": "train", "spec": spec}))
    (folder / "events.jsonl").touch()
    (ending,) = list(train.run(spec, folder, lambda: [{"do": "stop"}]))[-1:]
    assert getattr(ending, "message", "") == "0 trials of the search done"
    assert history.read(work(folder, "train", spec).directory).status == "done"


def test_a_search_by_time_has_its_share_and_the_run_the_rest(recipe_path: Path, workspace: Path) -> None:
    done = run("tune", str(recipe_path), "--minutes", "0.05", "--trials", "2", "--name", "one", "--json")
    assert done.returncode == 0, done.stderr
    folder = workspace / "runs" / "one"
    state = history.read(folder)
    assert (state.status, state.steps[-1].left is not None) == ("done", True)
    told = " ".join(state.notices)
    if searched(folder)["cut"]:  # on a machine that is busy
        assert "too short to try anything" in told or "ends before its plan" in told
    else:
        assert [len(searched(folder)["rungs"]), len(state.tried)] == [1, 2]
        assert searched(folder)["spent"] > 0
        kinds = [json.loads(line)["event"] for line in done.stdout.splitlines()]
        assert kinds.index("trial") < kinds.index("tried") < kinds.index("step")


def test_where_the_time_is_too_short_nothing_is_tried(recipe_path: Path, workspace: Path) -> None:
    done = run("tune", str(recipe_path), "--minutes", "0.001", "--name", "one")
    assert done.returncode == 0, done.stderr
    assert "0.001 min are too short to try anything: the recipe is trained as it is" in done.stderr
    assert len(history.read(workspace / "runs" / "one").steps) == 1


def test_a_learning_curve_says_whether_more_rows_would_help(recipe_path: Path, workspace: Path) -> None:
    done = run("tune", str(recipe_path), "--learning-curve", "--set", "train.steps=20", "--name", "one")
    assert done.returncode == 0, done.stderr
    folder = workspace / "runs" / "one"
    assert [trial.words for trial in history.read(folder).tried] == [
        "a quarter of the rows", "half of the rows", "all rows",
    ]  # fmt: skip
    assert history.read(folder).status == "done"
    assert "a trial sees 16 of" in done.stderr
    assert "each doubling took" in done.stderr
    quarter, half, whole = searched(folder)["table"]
    assert (whole["chosen"], len(quarter["behind"]), len(half["behind"])) == (True, 3, 3)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--over", "data.path=a,b"], "data.path cannot be searched, for it changes the rows"),
        (["--over", "lora.rank=0,4"], "rank 0 cannot be tried"),
        (["--learning-curve", "--trials", "3"], "--learning-curve tries rows, not settings"),
        (["--minutes", "0"], "train.minutes: must be more than 0"),
    ],
)
def test_what_cannot_be_tried_begins_nothing(recipe_path: Path, workspace: Path, words: list[str], says: str) -> None:
    done = run("tune", str(recipe_path), *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (workspace / "runs").exists()
