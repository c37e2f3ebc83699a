"""Runs that learn from judgements: pairs and thumbs, resumed, from another run, and what they tell meanwhile."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gemmalocal.engine import reference
from gemmalocal.jobs.events import Failed
from gemmalocal.jobs.history import JobState
from gemmalocal.recipe.objective import JUDGING
from tests import here
from tests.pipelines.test_damaged_run import killed, learned, same, work

KINDS = sorted(JUDGING)
QUICK = ("samples.prompts=[]", "train.epochs=", "train.steps=12", "train.keep=9", "train.batch_size=4")


def run(folder: Path, recipe: Path, pairs: Path, kind: str, *items: str) -> JobState:
    """A run over pairs."""
    return work(folder, recipe, f"data.path={pairs}", f"objective.kind={kind}", *QUICK, *items)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_learns_and_resumed_is_as_never_interrupted(
    kind: str, recipe_path: Path, pairs: Path, workspace: Path
) -> None:
    whole = workspace / "runs" / "whole"
    state = run(whole, recipe_path, pairs, kind)
    assert state.status == "done", state.last_word
    first, last = state.evaluations[0], state.evaluations[-1]
    assert first.preference is not None
    assert last.preference is not None
    assert last.loss < first.loss
    assert last.preference["margin"] > first.preference["margin"]
    assert last.preference.keys() == {"accuracy", "margin", "chosen", "rejected"}
    assert all(step.preference for step in state.steps)
    if kind in ("dpo", "ipo", "kto"):  # the model as it starts is what is compared with
        assert (first.preference["chosen"], first.preference["margin"]) == (0, 0)
    again = killed(whole, "again", step=6)
    resumed = work(again)
    assert [step.loss for step in resumed.steps] == [step.loss for step in state.steps]
    assert same(learned(again), learned(whole))


def test_a_reference_that_is_lost_or_damaged_is_asked_again_and_the_same(
    recipe_path: Path, pairs: Path, workspace: Path
) -> None:
    runs = workspace / "runs"
    run(runs / "first", recipe_path, pairs, "dpo", "lora.dropout=0")
    state = run(runs / "whole", recipe_path, pairs, "dpo", "start_from=first")
    kept = (runs / "whole" / reference.FILE).read_text()
    for name, text in (("lost", None), ("damaged", kept.replace("[", "[1.5, ", 1)), ("cut", kept[:40])):
        folder = killed(runs / "whole", name, step=6)
        (folder / reference.FILE).unlink()
        if text is not None:
            (folder / reference.FILE).write_text(text)
        resumed = work(folder)
        assert any("damaged" in notice for notice in resumed.notices) == (text is not None)
        assert [step.loss for step in resumed.steps] == [step.loss for step in state.steps]
        assert same(learned(folder), learned(runs / "whole"))
        assert (folder / reference.FILE).read_text() == kept
    complete = killed(runs / "whole", "complete", step=6)
    shutil.rmtree(runs / "first")  # what was asked once is not asked again
    assert same(learned(complete), learned(runs / "whole")) if work(complete).status == "done" else False


def test_only_answers_that_are_used_are_asked_for(recipe_path: Path, pairs: Path, workspace: Path) -> None:
    folder = workspace / "runs" / "short"
    state = run(folder, recipe_path, pairs, "dpo", "train.steps=2")
    assert state.status == "done"
    answers = json.loads((folder / reference.FILE).read_text())[reference.ANSWERS]
    held_out = state.evaluations[0]
    assert held_out.tokens
    known = sum(value is not None for value in answers)
    assert 2 * 2 * 4 < known < len(answers)
    longer = work_longer(folder)
    assert longer.status == "done"
    assert sum(value is not None for value in json.loads((folder / reference.FILE).read_text())["answers"]) > known


def work_longer(folder: Path) -> JobState:
    """Go on to more steps."""
    job = json.loads((folder / "job.json").read_text())
    job["spec"]["train"]["steps"] = 8
    (folder / "job.json").write_text(json.dumps(job))
    return work(folder)


def test_micro_batches_change_nothing(recipe_path: Path, pairs: Path, workspace: Path) -> None:
    plain = (
        "lora.dropout=0",
        "backend=torch",
        "train.steps=3",
        "data.rows=12",
    )  # one micro-batch at once: a pair does not fit into one of one row
    states = [
        run(workspace / "runs" / rows, recipe_path, pairs, "dpo", *plain, f"train.micro_batch={rows}")
        for rows in ("auto", "1")
    ]
    assert [any("too long to be computed at once" in notice for notice in state.notices) for state in states] == [
        False,
        True,
    ]
    whole, apart = ([step.loss for step in state.steps] for state in states)
    assert apart == pytest.approx(whole, rel=1e-4)


def test_thumbs_alone_are_learned_from(recipe_path: Path, tmp_path: Path, pairs: Path, workspace: Path) -> None:
    thumbs = tmp_path / "thumbs.jsonl"
    rows = [json.loads(line) for line in pairs.read_text().splitlines()]
    thumbs.write_text(
        "".join(
            json.dumps({"prompt": row["prompt"], "completion": row["chosen" if good else "rejected"], "label": good})
            + "\n"
            for number, row in enumerate(rows)
            for good in [bool(number % 2)]
        )
    )
    state = run(workspace / "runs" / "thumbs", recipe_path, thumbs, "kto")
    last = state.evaluations[-1].preference
    assert last is not None
    assert last["accuracy"] > 0.7
    refused = run(workspace / "runs" / "pairs", recipe_path, thumbs, "dpo").last_word
    assert isinstance(refused, Failed)
    assert "prompt, a chosen and a rejected" in refused.message + refused.hint


def test_what_looks_wrong_is_told(recipe_path: Path, tmp_path: Path, pairs: Path, workspace: Path) -> None:
    longer = tmp_path / "longer.jsonl"
    rows = [json.loads(line) for line in pairs.read_text().splitlines()]
    turned = [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in rows]
    longer.write_text("".join(json.dumps(row) + "\n" for row in turned))
    rates = ("train.learning_rate=0.2", "lora.dropout=0")
    state = run(workspace / "runs" / "longer", recipe_path, longer, "dpo", *rates)
    assert any("100% of the chosen answers are longer" in notice for notice in state.notices)
    state = run(workspace / "runs" / "far", recipe_path, pairs, "dpo", "train.learning_rate=0.2", "objective.beta=50")
    assert sum("margins between chosen and rejected" in notice for notice in state.notices) == 1


def test_a_report_says_how_many_pairs_were_won(recipe_path: Path, pairs: Path, workspace: Path) -> None:
    folder = workspace / "runs" / "pairs"
    state = run(folder, recipe_path, pairs, "dpo", "data.split=0.3", "train.steps=20")
    here.work(folder / "report", "report", {"runs": [str(folder)], "rows": None, "metric": "rouge"})
    figures = json.loads((folder / "report" / "report.json").read_text())
    last = state.evaluations[-1].preference
    assert last is not None
    assert figures["rows"] == figures["pairs"]["pairs"]
    assert figures["pairs"]["won"] == round(last["accuracy"] * figures["rows"])  # the base is what it starts from
    assert figures["pairs"]["chosen"] == pytest.approx(last["chosen"], rel=1e-3)
    assert figures["pairs"]["rejected"] == pytest.approx(last["rejected"], rel=1e-3)
    assert figures["verdict"].startswith("helps")
    assert f"{figures['pairs']['won']} of {figures['rows']} pairs won" in figures["sentence"]
    assert "win rate" in (folder / "report" / "report.md").read_text()
    assert {row["reference"] for row in figures["regressions"]} <= {
        json.loads(line)["chosen"] for line in pairs.read_text().splitlines()
    }


@pytest.mark.parametrize("layout", ["a checkpoint", "mlx-lm"])
def test_any_adapter_is_begun_with(layout: str, recipe_path: Path, pairs: Path, workspace: Path, tiny: Path) -> None:
    from gemmalocal.backends import convert_adapter

    runs = workspace / "runs"
    first = work(runs / "first", recipe_path, "samples.prompts=[]", "train.keep=9", "train.steps=8")
    start, step = "first@4", 4
    if layout == "mlx-lm":
        model = json.loads((tiny / "config.json").read_text())
        convert_adapter.to_mlx(runs / "first" / "adapter", model, runs / "theirs")
        start, step = str(runs / "theirs"), first.saved.step if first.saved else 0
    second = work(runs / "second", recipe_path, "samples.prompts=[]", "train.steps=1", f"start_from={start}")
    at = {evaluation.step: evaluation.loss for evaluation in first.evaluations}
    assert second.evaluations[0].loss == pytest.approx(at[step], rel=1e-6)
    missing = work(runs / "third", recipe_path, "train.steps=1", "start_from=first@5").last_word
    assert isinstance(missing, Failed)
    assert "no checkpoint of step 5" in missing.message
