"""A training that starts from another one's adapter: with new rows, or more of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gemmalocal.errors import RecipeError
from gemmalocal.jobs.events import Failed
from gemmalocal.recipe import recipe_file
from tests.pipelines.test_damaged_run import learned, same, work

QUICK = ("samples.prompts=[]", "lora.dropout=0", "train.steps=4")


def test_it_begins_where_the_other_ended(recipe_path: Path, workspace: Path) -> None:
    runs = workspace / "runs"
    first = work(runs / "first", recipe_path, *QUICK)
    second = work(runs / "second", recipe_path, *QUICK, "start_from=first")
    assert second.status == "done"
    assert any("training starts from the adapter in" in notice for notice in second.notices)
    assert second.evaluations[0].loss == first.evaluations[-1].loss
    assert second.evaluations[-1].loss < first.evaluations[-1].loss
    assert not same(learned(runs / "second"), learned(runs / "first"))
    third = work(runs / "third", recipe_path, *QUICK, f"start_from={runs / 'first' / 'adapter'}")
    assert [step.loss for step in third.steps] == [step.loss for step in second.steps]
    spec = json.loads((runs / "third" / "job.json").read_text())["spec"]
    assert spec["start_from"] == str(runs / "first" / "adapter")


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("lora.rank=2", "Set lora.rank to 4"),
        ("lora.target_modules=q_proj", "is of another shape"),
        ("lora.layers=1", "is of another shape"),
        ("method=dora", "is of another shape"),
        ("lora.alpha=16", "Set lora.alpha to the same"),
        ("start_from=nobody", "There is no run 'nobody'"),
        ("start_from=empty", "has made no adapter yet"),
    ],
)
def test_what_does_not_fit_is_a_sentence(recipe_path: Path, workspace: Path, item: str, says: str) -> None:
    runs = workspace / "runs"
    work(runs / "first", recipe_path, *QUICK)
    (runs / "empty").mkdir()
    (runs / "empty" / "job.json").write_text("{}")
    last = work(runs / "second", recipe_path, *QUICK, "start_from=first", item).last_word
    assert isinstance(last, Failed)
    assert last.code == 2
    assert says in f"{last.message} {last.hint}"


def test_a_whole_model_is_given_as_the_model() -> None:
    with pytest.raises(RecipeError, match="give that as the model"):
        recipe_file.load("quotes", ["method=full", "lora={}", "start_from=first"])
