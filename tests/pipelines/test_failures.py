"""Whole runs that go wrong, in child processes: what is said, what is left, and how they are gone on with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gemmalocal.backends import open_backend
from gemmalocal.backends.mlx import device
from gemmalocal.cli.runs import summary
from gemmalocal.data.batches import BatchShape, plan
from gemmalocal.jobs import history, processes
from gemmalocal.planning import device_memory
from gemmalocal.recipe import recipe_file
from tests.backends.truth import some_rows
from tests.children import HANGS, killed_at, until, until_ended
from tests.here import apart, run
from tests.pipelines.test_runs import described, finished, same, steps_seen, weights

METAL = (
    "libc++abi: terminating due to uncaught exception of type std::runtime_error: [METAL] Command buffer execution "
    "failed: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)\n"
)


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (folder / "events.jsonl").read_text().splitlines())
    return [line for line in lines if line["event"] == kind]


def test_mlx_changes_nothing_at_a_step_that_is_not_finite(tiny: Path, recipe_path: Path, tmp_path: Path) -> None:
    made: Any = open_backend("mlx").trainer(tiny, recipe_file.load(str(recipe_path)))
    saved = []
    for number, spoil in enumerate((1.0, float("nan"), 1.0)):
        made.accumulate(plan(some_rows(), BatchShape(8, 10_000, 10_000)))
        made._gradient = [part * spoil for part in made._gradient]
        assert made.apply(0.1).finite == (spoil == 1.0)
        folder = tmp_path / str(number)
        folder.mkdir()
        made.save(folder)
        saved.append({**load_file(folder / "adapter_model.safetensors"), **load_file(folder / "optimizer.safetensors")})
    assert same(saved[0], saved[1])
    assert not same(saved[1], saved[2])


def test_rates_that_overflow_are_skipped_rolled_back_and_told(recipe_path: Path, workspace: Path) -> None:
    done = run("train", str(recipe_path), "--name", "wild", "--set", "train.learning_rate=1e4")
    folder = workspace / "runs" / "wild"
    skipped, backs = events(folder, "skipped"), events(folder, "rollback")
    assert done.returncode == 0, done.stderr
    assert len(skipped) >= 3
    assert [back["factor"] for back in backs] == [0.5, 0.25, 0.125][: len(backs)] != [], "goes back, and goes on"
    assert f"step {skipped[0]['step']} was skipped: its loss is" in done.stderr
    assert "from now on at 0.5 of the learning rate" in done.stderr
    assert all(np.isfinite(value).all() for value in weights(folder).values())
    for step in events(folder, "step"):
        assert step["memory"] >= step["active"] > 0
        assert 0 <= step["cached"] <= device.CACHE_LIMIT  # what such a small model's steps take is less
    assert f"{len(skipped)} skipped  {len(backs)} rollbacks" in run("runs").stdout


@pytest.mark.usefixtures("forks")
def test_a_hopeless_rate_ends_with_a_sentence_and_what_was_learned(recipe_path: Path, workspace: Path) -> None:
    job = finished(workspace, "hopeless", recipe_path, "train.steps=3")
    spec = history.spec(job.directory)
    spec["train"] |= {"steps": 12, "learning_rate": 1e30}
    (job.directory / "job.json").write_text(json.dumps({"kind": "train", "spec": spec}))
    (job.directory / "events.jsonl").unlink()  # to be resumed like a run that was killed after step 3
    learned = weights(job.directory)
    done = run("resume", "hopeless")
    assert done.returncode == 1
    assert "failed: Training has diverged again after 3 roll-backs" in done.stderr
    assert "What it had learned before, at step 3, is in adapter/" in done.stderr
    assert same(weights(job.directory), learned)
    listed = summary(job.directory)
    assert (listed["status"], listed["rollbacks"]) == ("failed", 3)
    assert "Training has diverged" in listed["why"]


def test_killed_around_a_roll_back_equals_never_killed(recipe_path: Path, workspace: Path) -> None:
    wild = ("train.learning_rate=1e4", "samples.prompts=[]")
    whole = finished(workspace, "whole", recipe_path, *wild)
    job = killed_at(workspace / "runs" / "killed", "train", described(recipe_path, *wild), "Rollback")
    assert history.read(job.directory).status == "killed"
    assert "SIGKILL" in history.death(job).message  # the parent knows the signal, others do not
    assert "without saying why" in history.death(processes.Job(job.directory)).message
    assert run("resume", "killed").returncode == 0
    truth, state = history.read(whole.directory), history.read(job.directory)
    assert [(step.step, step.loss) for step in state.steps] == [(step.step, step.loss) for step in truth.steps]
    assert state.rollbacks[-1] == truth.rollbacks[-1]
    assert same(weights(job.directory), weights(whole.directory))


def test_damaged_weights_are_told_before_training(recipe_path: Path, tiny: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny, damaged)
    tensors = load_file(damaged / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][3, 5] = np.inf
    save_file(tensors, damaged / "model.safetensors", metadata={"format": "pt"})
    done = run("train", str(recipe_path), "--set", f"model={damaged}", "--set", "samples.prompts=[]")
    assert done.returncode == 1
    assert "before any training" in done.stderr
    assert "dtype to float32" in done.stderr
    assert "Traceback" not in done.stderr


def test_rows_without_anything_to_learn_are_left_out_and_counted(recipe_path: Path, tmp_path: Path) -> None:
    rows = [{"prompt": f"the {n} of:", "completion": f" x{n}."} for n in range(190)]
    rows += [
        {"prompt": f"{'the quote ' * 40}{n}:", "completion": " x."} for n in range(10)
    ]  # cut before the completion
    path = tmp_path / "some-empty.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    done = run("train", str(recipe_path), "--set", f"data.path={path}", "--json")
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    texts = [event["text"] for event in said if event["event"] == "notice"]
    assert any(text.startswith("10 rows left out: some-empty.jsonl:191 has no supervised token") for text in texts), (
        texts
    )
    assert [event["step"] for event in said if event["event"] == "step"] == list(range(1, 13))
    assert not any(event["event"] in ("skipped", "rollback") for event in said)


def test_an_abort_is_explained_and_gone_on_with_in_less_memory(recipe_path: Path, workspace: Path) -> None:
    words = ["train", str(recipe_path), "--name", "aborted", "--set", "train.steps=300"]
    watcher = subprocess.Popen([sys.executable, "-m", "gemmalocal", *words], stderr=subprocess.PIPE, text=True)
    job = processes.Job(workspace / "runs" / "aborted")
    until(lambda: steps_seen(job) >= 4, watcher)
    with (job.directory / "log.txt").open("a") as log:
        log.write(METAL)  # as libc++ does before it aborts
    os.killpg(int((job.directory / "lock").read_text().split()[0]), signal.SIGABRT)
    _, said = watcher.communicate(timeout=HANGS)
    assert watcher.returncode == 4
    assert "did not fit into memory" in said
    assert "gemmalocal resume aborted" in said
    listed = summary(job.directory)
    assert listed["status"] == "killed"
    assert "did not fit into memory" in listed["why"]
    assert "did not fit into memory" in run("watch", "aborted").stderr
    fewer = run("resume", "aborted", "--set", "train.steps=3")
    assert fewer.returncode == 2, fewer.stderr
    refused = run("resume", "aborted", "--set", "lora.rank=3")
    assert (refused.returncode, "cannot change in the middle" in refused.stderr) == (2, True)
    less = ["--set", "train.micro_batch=1", "--set", "train.checkpointing=true"]
    assert apart("resume", "aborted", "--detach", *less).returncode == 0
    until(lambda: any(event["attempt"] == 2 for event in events(job.directory, "started")), job)
    train = history.spec(job.directory)["train"]
    assert (train["micro_batch"], train["checkpointing"], train["steps"]) == (1, True, 300)
    job.ask(do="stop")
    until_ended(job)
    assert history.read(job.directory).status in ("stopped", "done")


DRIVER = """
import sys
from pathlib import Path
from gemmalocal import worker
from gemmalocal.planning import pressure
pressure.STALLS = Path(sys.argv[2])
sys.exit(worker.run(Path(sys.argv[1])))
"""


def test_strain_pauses_and_then_saves_and_stops(recipe_path: Path, workspace: Path, tmp_path: Path) -> None:
    folder, stalls = workspace / "runs" / "strained", tmp_path / "memory"
    folder.mkdir(parents=True)
    spec = recipe_file.load(str(recipe_path), ["train.steps=100000", "train.evaluate_every=100000"])
    (folder / "job.json").write_text(json.dumps({"kind": "train", "spec": spec.model_dump(mode="json")}))
    (folder / "inbox.jsonl").touch()
    level = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10={}.00 avg60=0.00 avg300=0.00 total=0\n"

    def strained(share: int) -> None:
        (tmp_path / "aside").write_text(level.format(share))
        (tmp_path / "aside").replace(stalls)

    strained(20)
    child = subprocess.Popen([sys.executable, "-c", DRIVER, str(folder), str(stalls)])
    job = processes.Job(folder)

    def said(text: str) -> bool:
        return any(text in notice for notice in history.read(folder).notices)

    until(lambda: said("paused: memory pressure is high"), child)
    assert steps_seen(job) == 1
    strained(0)
    until(lambda: steps_seen(job) >= 5, child)
    assert said("going on after")
    strained(70)
    assert child.wait(HANGS) == 0
    state = history.read(folder)
    assert state.status == "strained"
    assert state.saved is not None
    assert state.saved.step == state.steps[-1].step
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    watched = run("watch", "strained")
    assert watched.returncode == 4
    assert "memory pressure is critical. Close other programs, then resume" in watched.stderr


def test_the_cache_keeps_what_a_step_takes_and_release_empties_it(
    tiny: Path, recipe_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlx.core as mx

    small, kept = 100_000, {}
    monkeypatch.setattr(device, "CACHE_LIMIT", small)
    for room in ("much", "little"):
        if room == "little":
            monkeypatch.setattr(device, "device_memory", lambda: device_memory.ram(0))
        device.prepare()
        made: Any = open_backend("mlx").trainer(tiny, recipe_file.load(str(recipe_path)))
        mx.clear_cache()
        for _ in range(3):
            made.accumulate(plan(some_rows(), BatchShape(8, 10_000, 10_000)))
            made.apply(0.1)
            memory = made.memory()
            limit = mx.set_cache_limit(small)  # gives the one before
            mx.set_cache_limit(limit)
            assert memory.cached <= limit
        kept[room] = limit, memory
    limit, memory = kept["much"]
    assert limit >= memory.peak - memory.active > small
    assert memory.cached > small, "the next step finds its buffers"
    limit, memory = kept["little"]
    assert limit == small >= memory.cached
    made.release()
    assert made.memory().cached == 0
    monkeypatch.undo()
    device.prepare()
    assert device.probe()["cache_limit"] == device.CACHE_LIMIT
