"""gemmalocal from Python: jobs that are begun, watched, asked and taken away, by who never loads an engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gemmalocal
from gemmalocal import api
from gemmalocal.errors import GemmalocalError, RecipeError, UnknownRun, UsageFault
from gemmalocal.evaluation import general
from gemmalocal.jobs import processes
from gemmalocal.jobs.events import Step
from tests.here import work
from tests.pipelines.preparations import LIGHT

HEAVY = ("mlx", "torch", "transformers", "tokenizers", "datasets", "textual")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """The workspace of a run of twelve steps."""
    folder = tmp_path_factory.mktemp("api")
    rows = [{"prompt": f"the {word}:", "completion": f" {word} the a"} for word in "abcdefghijklmnopqrst"]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEMMALOCAL_HOME", str(folder / "home"))
        patch.setattr(processes, "start", work)
        recipe = {
            "model": str(tiny),
            "data": {"path": str(folder / "rows.jsonl"), "max_length": 64, "split": 0.2},
            "samples": {"prompts": ["the a:"], "max_tokens": 5},
        }
        keys = {"steps": 12, "learning_rate": 1e-2, "evaluate_every": 4, "save_every": 4, "rank": 4}
        run = gemmalocal.train(recipe, name="words", **keys).wait(progress=False)
        assert run.status == "done"
    return folder / "home"


@pytest.fixture
def run(trained: Path, monkeypatch: pytest.MonkeyPatch) -> api.Run:
    """That run, in its workspace."""
    monkeypatch.setenv("GEMMALOCAL_HOME", str(trained))
    return gemmalocal.run("words")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are worked on in this process, and reports ask little."""
    questions, texts = general.questions()[:2], general.texts()[:2]
    monkeypatch.setattr(general, "questions", lambda: questions)
    monkeypatch.setattr(general, "texts", lambda: texts)
    monkeypatch.setattr(processes, "start", work)


def test_a_run_tells_its_figures(run: api.Run) -> None:
    steps, measured = run.steps, run.evaluations
    assert steps.step.tolist() == list(range(1, 13))
    assert steps.loss.dtype == np.float64
    events = [event for event in run.events() if isinstance(event, Step)]
    assert steps.tokens.tolist() == [event.tokens for event in events]
    assert run.loss == events[-1].loss
    assert measured.step.tolist() == [0, 4, 8, 12]
    assert run.best is not None
    assert run.best.loss == measured.loss.min()
    assert [sample.when for sample in run.samples][:1] == ["before"]
    assert run.recipe["lora"]["rank"] == 4
    assert run.recipe["train"]["steps"] == 12
    assert (run.name, run.verdict, repr(run)) == ("words", "", "Run('words', done)")
    assert [each.name for each in gemmalocal.runs()] == ["words"]


def test_a_run_is_asked(run: api.Run) -> None:
    try:
        assert run.ask("the a:", max_tokens=5) == run.ask("the a:", max_tokens=5)
    finally:
        run.close()
    with gemmalocal.chat(run, max_tokens=4) as chat:
        assert set(chat.ask("the b:")) == {"base", "words"}
        assert chat.names == ["base", "words"]
        with pytest.raises(UsageFault, match="Nothing was asked"):
            chat.ask(" ")
    with pytest.raises(UsageFault, match="closed"):
        chat.ask("the b:")


@pytest.mark.usefixtures("here")
def test_a_run_is_reported_on_and_exported(run: api.Run) -> None:
    told = run.report(rows=4)
    assert told.verdict == told.data["verdict"] == run.verdict
    assert str(told) == told.sentence
    assert told.page.read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(UsageFault, match="no export"):
        run.report(form="gguf")
    with pytest.raises(UnknownRun):
        run.report(against="nobody")
    with pytest.raises(RecipeError, match="against itself"):
        run.report(rows=4, against=run)
    made = run.export("adapter")
    assert made.passed
    assert (made.folder / "adapter_model.safetensors").is_file()
    for value in (run, told, made):
        assert value._repr_html_().startswith("<div>")


@pytest.mark.usefixtures("here")
def test_a_check_says_what_a_run_would_be(run: api.Run) -> None:
    told = gemmalocal.check(run.recipe, epochs=2)
    assert told.fits
    assert told.rows == (16, 4)
    assert told.steps == 8
    assert told.problems == []
    assert "16 to train on" in told._repr_html_()


@pytest.mark.usefixtures("here")
def test_a_run_goes_on_for_longer(run: api.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMMALOCAL_HOME", str(tmp_path / "other"))
    short = gemmalocal.train(run.recipe, name="short", steps=4).wait(progress=False)
    with pytest.raises(RecipeError):
        gemmalocal.resume(short, rank=2)
    longer = gemmalocal.resume("short", steps=6).wait(progress=False)
    assert isinstance(longer, api.Run)
    assert longer.steps.step.tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("stesp", 3, "no key stesp"),
        ("seed", 3, ""),
        ("rows", 3, ""),
        ("prompts", ["a"], ""),
        ("train__stesp", 3, "steps"),
        ("steps", "many", "whole number"),
        ("steps", -1, "1 or more"),
        ("learning_rate", None, "must be"),
    ],
)
def test_keys_have_short_names(run: api.Run, name: str, value: Any, sentence: str) -> None:
    if not sentence:
        assert gemmalocal.api.errands.by_full_name({name: value})
        return
    with pytest.raises(RecipeError, match=sentence):
        gemmalocal.train(run.recipe, **{name: value})
    assert [each.name for each in gemmalocal.runs()] == ["words"]


def test_what_is_not_there_is_said(run: api.Run) -> None:
    with pytest.raises(UnknownRun):
        gemmalocal.run("nobody")
    with pytest.raises(RecipeError):
        gemmalocal.train("no-such-recipe")
    with pytest.raises(RecipeError, match="no setting warmth"):
        gemmalocal.chat(run, warmth=1)
    with pytest.raises(RecipeError, match="temperature"):
        gemmalocal.chat(run, temperature=-1)
    with pytest.raises(UsageFault, match="no form"):
        run.export("zip")
    with pytest.raises(UsageFault, match="detail"):
        run.export("gguf", colour="red")


@pytest.mark.usefixtures("here")
def test_a_run_that_fails_raises_why(run: api.Run, tmp_path: Path) -> None:
    broken = {**run.recipe, "model": str(tmp_path / "nowhere")}
    with pytest.raises(GemmalocalError) as raised:
        gemmalocal.train(broken, name="broken").wait(progress=False)
    assert raised.value.hint
    assert gemmalocal.run("broken").status == "failed"


@pytest.mark.usefixtures("here")
def test_documents_become_a_dataset(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "light.md").write_text(LIGHT)
    made = gemmalocal.prepare(tmp_path / "light.md", to="lamp", model=str(tiny), author="rules", gaps=True)
    made.wait(progress=False)
    assert len(made.rows) == made.report["train"]["rows"] > 0
    assert gemmalocal.dataset("lamp").held_out == made.held_out
    assert [each.name for each in gemmalocal.datasets()] == ["lamp"]
    with pytest.raises(RecipeError, match="tasks"):
        gemmalocal.prepare(tmp_path / "light.md", to="other", tasks="qa")


WAITER = """
import sys, gemmalocal
run = gemmalocal.train(sys.argv[1], name="long", steps=100000, evaluate_every=100000, save_every=1)
print("begun", flush=True)
try:
    run.wait()
except KeyboardInterrupt:
    print("interrupted", run.status, [name for name in sys.argv[2:] if name in sys.modules], flush=True)
run.stop()
print(run.wait(progress=False).status, run.steps.step.size > 0, flush=True)
"""


def test_who_interrupts_a_wait_leaves_the_run_alive(recipe_path: Path) -> None:
    waiter = subprocess.Popen(
        [sys.executable, "-c", WAITER, str(recipe_path), *HEAVY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert waiter.stdout is not None
    assert waiter.stderr is not None
    assert waiter.stdout.readline() == "begun\n"
    while "step 10/" not in (line := waiter.stderr.readline()):
        assert line
    waiter.send_signal(signal.SIGINT)
    said, told = waiter.communicate(timeout=120)
    assert said.splitlines() == ["interrupted live []", "stopped True"]
    assert "long goes on. Look again: gemmalocal.run('long')" in told
