"""Each key that can be searched is: a trial trains by its own value, and is measured by the recipe's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gemmalocal.backends.protocol import Trainer
from gemmalocal.data import token_store
from gemmalocal.engine import loop
from gemmalocal.engine.guide import Figures
from gemmalocal.jobs import history
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.search_keys import KEYS
from tests.here import run, work
from tests.pipelines.test_search import killed, losses, searched

SHORT = ("samples.prompts=[]", "train.steps=8", "train.learning_rate=1e-3")
PAIRS = ("data.path=PAIRS", "train.epochs=", *SHORT)
# What is tried together, and what else the recipe says.
GROUPS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "loop": (
        ["train.learning_rate=1e-3,auto", "train.schedule=constant,linear", "train.warmup=0,0.5",
         "train.batch_size=2,8", "train.accumulation=1,2"], (*SHORT, "search.share=0.9", "train.steps=24"),
    ),
    "adapter": (
        ["method=lora,dora", "lora.rank=2,4", "lora.alpha=4,8", "lora.dropout=0,0.2", "lora.layers=1,all",
         "lora.target_modules=[q_proj],[q_proj,v_proj]"], SHORT,
    ),
    "optimizer": (
        ["train.optimizer=adamw,lion", "train.weight_decay=0,0.1", "train.gradient_clip=0,1", "train.seed=0,1"], SHORT,
    ),
    "prompt_weight": (["train.prompt_weight=0,0.5"], SHORT),
    "dpo": (["objective.beta=0.05,1", "objective.label_smoothing=0,0.2"], ("objective.kind=dpo", *PAIRS)),
    "simpo": (["objective.beta=2,4", "objective.gamma=0,1"], ("objective.kind=simpo", *PAIRS)),
    "kto": (
        ["objective.desirable_weight=0.5,1", "objective.undesirable_weight=0.5,1"], ("objective.kind=kto", *PAIRS),
    ),
    "distill": (["objective.beta=0,1", "objective.mix=0,0.5"], ("teacher.model=self", "teacher.keep=8", *SHORT)),
}  # fmt: skip


def described(recipe: Path, pairs: Path, over: list[str], *items: str) -> dict[str, Any]:
    given = [item.replace("PAIRS", str(pairs)) for item in items]
    return recipe_file.load(str(recipe), ["search.trials=4", f"search.over={json.dumps(over)}", *given]).model_dump(
        mode="json"
    )


def test_each_key_is_in_a_group() -> None:
    assert sorted({text.partition("=")[0] for over, _ in GROUPS.values() for text in over}) == sorted(KEYS)


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_each_key_is_tried_and_the_winner_is_what_is_trained(
    group: str, recipe_path: Path, pairs: Path, workspace: Path
) -> None:
    over, items = GROUPS[group]
    folder = workspace / "runs" / group
    work(folder, "train", described(recipe_path, pairs, over, *items))
    state, known = history.read(folder), searched(folder)
    assert state.status == "done", state.last_word
    assert len(known["trials"]) == min(4, 2 ** len(over))
    assert None not in (by_trial := {result["trial"]: result["loss"] for result in known["results"]}).values()
    assert len(set(by_trial.values())) == len(known["trials"])  # each is something else
    values = known["trials"][known["winner"]]
    kept = history.spec(folder)
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        assert (kept[section] if section else kept)[name] == value
    assert state.steps[-1].step == kept["train"]["steps"]


@pytest.mark.parametrize("group", ["distill", "dpo", "kto", "simpo"])
def test_losses_group_by_group_are_those_of_the_mean(
    group: str, recipe_path: Path, pairs: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, seen = loop.measured, list[tuple[float, float, int]]()

    def both(run: loop.TrainingRun, trainer: Trainer) -> tuple[float, int, Figures | None, list[str]]:
        told, guide = whole(run, trainer), run.guide
        assert guide is not None
        (losses, judged), measured = guide.losses(trainer), guide.measure(trainer)
        assert len(losses) == len(judged) == len(run.held_out) // guide.group
        seen.append((measured.loss, losses.sum(), len(set(losses.tolist()))))
        assert judged.sum() == pytest.approx(measured.judged)
        return told

    monkeypatch.setattr(loop, "measured", both)
    spec = described(recipe_path, pairs, [], *GROUPS[group][1], "search.trials=0")
    assert history.read(work(workspace / "runs" / group, "train", spec).directory).status == "done"
    assert len(seen) >= 2
    for whole_loss, by_group, _ in seen:
        assert by_group == pytest.approx(whole_loss, rel=1e-6)
    assert seen[-1][2] > 1  # rows that share a pack are told apart


@pytest.mark.parametrize(("group", "unit"), [("distill", " nats a token"), ("dpo", "")])
def test_a_learning_curve_of_what_is_judged_has_an_interval(
    group: str, unit: str, recipe_path: Path, pairs: Path, workspace: Path
) -> None:
    spec = described(recipe_path, pairs, [], *GROUPS[group][1], "search.trials=0", "search.learning_curve=true")
    known = searched(work(workspace / "runs" / group, "train", spec).directory)
    quarter, half, whole = known["table"]
    assert (whole["chosen"], len(quarter["behind"]), len(half["behind"])) == (True, 3, 3)
    sentence = (workspace / "runs" / group / "search.md").read_text()
    assert re.search(rf"each doubling took -?[\d.]+{unit} off the loss", sentence)
    assert ("the mean over pairs" in sentence) == (group == "dpo")


def test_a_prompt_weight_that_wins_has_the_rows_of_a_run_with_it(
    recipe_path: Path, pairs: Path, workspace: Path
) -> None:
    spec = described(recipe_path, pairs, ["train.prompt_weight=0.5,1"], *SHORT)
    folder = work(workspace / "runs" / "one", "train", spec).directory
    won = searched(folder)["trials"][searched(folder)["winner"]]["train.prompt_weight"]
    alone = described(recipe_path, pairs, [], *SHORT, f"train.prompt_weight={won}")
    plain = work(workspace / "runs" / "plain", "train", alone).directory
    for name in (token_store.IDS, token_store.WEIGHTS):
        assert (folder / "examples" / name).read_bytes() == (plain / "examples" / name).read_bytes()
    codes = np.fromfile(folder / "examples" / token_store.WEIGHTS, np.uint8)
    assert np.isclose(token_store.WEIGHT_OF[codes], won, atol=1 / 255).any()
    for after in (1, 2):
        again = killed(workspace / "runs" / f"killed-{after}", spec, after)
        work(again, "train", history.spec(again))
        assert losses(again) == losses(folder)
        assert [step.loss for step in history.read(again).steps] == [step.loss for step in history.read(folder).steps]


def test_epochs_are_counted_by_the_winners_batch(recipe_path: Path, pairs: Path, workspace: Path) -> None:
    """32 rows to train on, of which a quarter is set aside."""
    items = ("samples.prompts=[]", "train.steps=", "train.epochs=2", "train.learning_rate=1e-3")
    folder = work(
        workspace / "runs" / "one", "train", described(recipe_path, pairs, ["train.batch_size=16,32"], *items)
    ).directory
    state = history.read(folder)
    assert state.status == "done", state.last_word
    rows = len(token_store.load(folder / "examples")[0]) - len(token_store.load(folder / "examples")[2]["tune"])
    batch = history.spec(folder)["train"]["batch_size"]
    assert [step.steps for step in state.steps][-1] == len(state.steps) == -(-2 * rows // batch)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["--set", "teacher.model=self", "--set", "teacher.rounds=2"],
            "tiny.yaml: a search needs rows that stay",
        ),
        (["--set", "teacher.model=self", "--over", "train.prompt_weight=0,1"], "leave train.prompt_weight out"),
        (["--over", "objective.beta=0,1"], "sft has no beta"),
        (["--over", "method=lora,full"], "leave the lora section out"),
    ],
)
def test_what_cannot_be_tried_together_begins_nothing(
    recipe_path: Path, workspace: Path, words: list[str], says: str
) -> None:
    done = run("tune", str(recipe_path), *words)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert not (workspace / "runs").exists()
