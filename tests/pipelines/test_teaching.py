"""Runs that learn from a teacher: scored once, resumed, by either engine, from a run, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gemmalocal.data import taught_store
from gemmalocal.files import paths
from gemmalocal.jobs.events import Failed
from gemmalocal.jobs.history import JobState
from gemmalocal.pipelines.shared import teaching
from tests import here
from tests.pipelines.test_damaged_run import killed, learned, same, work

QUICK = ("samples.prompts=[]", "train.steps=8", "train.keep=9", "teacher.keep=8")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taught_store, "SHARD_TOKENS", 64)


@pytest.fixture(scope="module")
def made(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned some rows."""
    folder = tmp_path_factory.mktemp("teacher")
    rows = [{"prompt": f"the quote of {chr(97 + n % 26)}:", "completion": f" and x{n}."} for n in range(30)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "tiny.yaml").write_text(
        f"model: {tiny}\ndata: {{path: rows.jsonl, max_length: 64, split: 0}}\nlora: {{rank: 8, alpha: 16}}\n"
        "train: {steps: 30, batch_size: 4, learning_rate: 1e-2}\n"
    )
    done = here.run("train", str(folder / "tiny.yaml"), "--name", "teacher", home=folder / "home")
    assert done.returncode == 0, done.stderr
    return folder / "home" / "runs" / "teacher"


@pytest.fixture
def teacher(made: Path, workspace: Path) -> Path:
    """The same in this test's workspace."""
    shutil.copytree(made, workspace / "runs" / "teacher")
    return workspace / "runs" / "teacher"


def run(folder: Path, recipe: Path, *items: str) -> JobState:
    """A run that learns from the teacher, unless another is named."""
    return work(folder, recipe, "teacher.model=teacher", *QUICK, *items)


def said() -> dict[str, bytes]:
    """All that teachers said."""
    files = [file for file in paths.teachers().rglob("*") if file.suffix == ".npy"]
    return {file.name: file.read_bytes() for file in files}


@pytest.mark.parametrize(
    "items",
    [
        ("objective.mix=0.3",),
        ("objective.beta=0.5", "method=dora", "train.checkpointing=true"),
        ("objective.beta=1", "quantize=8bit", "teacher.temperature=2"),
        (
            "method=full",
            "train.learning_rate=1e-3",
            "backend=torch",
            "teacher.keep=1000",
            "data.rows=16",
            "train.steps=4",
        ),
    ],
    ids=["lora", "dora, checkpointing", "quantized, tempered", "full, every id"],
)
def test_a_student_comes_near_its_teacher_and_resumed_is_as_never_interrupted(
    items: tuple[str, ...], recipe_path: Path, teacher: Path, workspace: Path
) -> None:
    whole, full = workspace / "runs" / "whole", "method=full" in items
    if full:
        lines = recipe_path.read_text().splitlines(keepends=True)
        recipe_path.write_text("".join(line for line in lines if not line.startswith("lora")))
    state = run(whole, recipe_path, *items)
    assert state.status == "done", state.last_word
    first, last = state.evaluations[0], state.evaluations[-1]
    assert first.preference is not None
    assert last.preference is not None
    assert last.preference["kl"] < 0.9 * first.preference["kl"]
    assert last.preference["agreement"] > first.preference["agreement"]
    assert ("cross_entropy" in last.preference) == ("teacher.temperature=2" not in items)
    assert all(step.preference for step in state.steps)
    if full:
        return
    again = killed(whole, "again", step=6)
    shutil.rmtree(teacher)  # what it said is known
    resumed = work(again)
    assert [step.loss for step in resumed.steps] == [step.loss for step in state.steps]
    assert same(learned(again), learned(whole))


def test_rows_are_scored_once_and_killed_meanwhile_the_bytes_are_the_same(
    recipe_path: Path, teacher: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = run(workspace / "runs" / "first", recipe_path)
    whole = said()
    assert len(whole) > 3
    assert any("reads 40 rows" in notice and "kB on the disk" in notice for notice in state.notices)
    again = run(workspace / "runs" / "second", recipe_path, "lora.rank=2")
    assert any("known already" in notice for notice in again.notices)
    shutil.rmtree(paths.teachers())
    answer, calls = teaching._read_shard, 0

    def dies(*given: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        answer(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(teaching, "_read_shard", dies)
    with pytest.raises(KeyboardInterrupt):
        run(workspace / "runs" / "third", recipe_path)
    assert len(said()) == 2
    assert work(workspace / "runs" / "third").status == "done"
    assert said() == whole
    learned_again, learned_first = (learned(workspace / "runs" / name) for name in ("third", "first"))
    assert same(learned_again, learned_first)


def test_engines_learn_the_same_of_the_same_words(recipe_path: Path, teacher: Path, workspace: Path) -> None:
    results = []
    for engine in ("mlx", "torch"):
        state = run(workspace / "runs" / engine, recipe_path, f"backend={engine}", "lora.dropout=0", "train.steps=2")
        results.append(([step.loss for step in state.steps], learned(workspace / "runs" / engine)))
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-3)
    for name, values in results[0][1].items():
        np.testing.assert_allclose(results[1][1][name], values, atol=2e-3 * np.abs(values).max() + 1e-7)


def test_a_stop_while_the_teacher_reads_keeps_what_it_said(recipe_path: Path, teacher: Path, workspace: Path) -> None:
    folder = workspace / "runs" / "stopped"
    spec_of = json.loads((teacher / "job.json").read_text())["spec"]
    spec_of["teacher"] |= {"model": "teacher"}
    spec_of["objective"] = {"kind": "distill"}
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps({"kind": "train", "spec": spec_of}))
    (folder / "inbox.jsonl").write_text('{"do": "stop"}\n')
    assert work(folder).status == "stopped"
    assert len(said()) == 1
    (folder / "inbox.jsonl").write_text("")
    assert work(folder).status == "done"


def test_the_model_teaches_itself_by_rows_that_it_is_shown(recipe_path: Path, workspace: Path) -> None:
    state = work(workspace / "runs" / "itself", recipe_path, "teacher.model=self", *QUICK)
    assert state.status == "done", state.last_word
    assert any("itself reads 40 rows" in notice for notice in state.notices)
    first, last = state.evaluations[0].preference, state.evaluations[-1].preference
    assert first is not None
    assert last is not None
    assert 0 < last["kl"] < first["kl"]


@pytest.mark.parametrize("name", ["teacher", "self"])
def test_in_rounds_the_students_own_answers_are_learned_and_resumed_is_the_same(
    name: str, recipe_path: Path, teacher: Path, workspace: Path
) -> None:
    whole = workspace / "runs" / "whole"
    rounds = ("teacher.rounds=2", "teacher.answer_tokens=6", "objective.beta=1", "train.save_every=1")
    state = run(whole, recipe_path, *rounds, f"teacher.model={name}")
    assert state.status == "done", state.last_word
    kept = {file.name: file.read_bytes() for file in (whole / "rounds").iterdir()}
    assert kept.keys() == {"1.json", "2.json"}
    for content in kept.values():
        assert all(0 < len(ids) <= 6 for ids in json.loads(content).values() if isinstance(ids, list))
    for step, lost in ((3, "2.json"), (6, ""))[: 1 + (name == "teacher")]:
        again = killed(whole, f"after {step}", step=step)
        if lost:  # it was killed before the second round began
            (again / "rounds" / lost).unlink()
        resumed = work(again)
        assert [step.loss for step in resumed.steps] == [step.loss for step in state.steps]
        assert same(learned(again), learned(whole))
        assert {file.name: file.read_bytes() for file in (again / "rounds").iterdir()} == kept


def test_another_vocabulary_is_refused(recipe_path: Path, tiny: Path, tmp_path: Path, workspace: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    text = (other / "tokenizer.json").read_text()
    assert '"mode"' in text
    (other / "tokenizer.json").write_text(text.replace('"mode"', '"modé"').replace('"mod", "e"', '"mod", "é"'))
    tree = json.loads((other / "tokenizer.json").read_text())
    tree["model"]["merges"] = [merge for merge in tree["model"]["merges"] if "".join(merge) in tree["model"]["vocab"]]
    (other / "tokenizer.json").write_text(json.dumps(tree))
    state = work(workspace / "runs" / "refused", recipe_path, f"teacher.model={other}", *QUICK)
    assert isinstance(state.last_word, Failed)
    assert "another vocabulary" in state.last_word.message
    assert "'modé' there" in state.last_word.message


def test_a_dataset_is_scored_by_a_job_of_its_own(recipe_path: Path, rows: Path, tiny: Path, teacher: Path) -> None:
    scored = here.run(
        "score", str(rows), "--teacher", "teacher", "--keep", "8", "--set", "data.max_length=64", "--json"
    )
    assert scored.returncode == 0, scored.stderr
    report = json.loads(scored.stdout)
    assert report["rows"] == 40
    assert 0 < report["sure"] < 1
    assert report["bytes"] >= report["tokens"] * (8 * 6 + 2)
    assert "reads 40 rows" in scored.stderr
    again = here.run("score", str(recipe_path), "--teacher", "teacher", "--keep", "8")
    assert "known already" in again.stderr
    assert "teacher has read 40 rows" in again.stdout
    lost = here.run("score", str(rows))
    assert lost.returncode
    assert "--teacher" in lost.stderr
