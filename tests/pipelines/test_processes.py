"""Several processes train as one: the same losses, the same adapter, one job; none is left behind."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from gemmalocal.backends import open_backend
from gemmalocal.errors import BackendUnavailable
from gemmalocal.files import paths
from gemmalocal.jobs import history, launcher, processes
from gemmalocal.recipe.objective import JUDGING
from tests.children import HANGS, until
from tests.conftest import fork
from tests.forks import ForkServer
from tests.here import run
from tests.pipelines.test_runs import same, steps_seen, weights

BIN = Path(sys.executable).parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]  # which `torchrun` is, and a fork may become
Together = Callable[..., tuple[int, str]]
PIPE_FULL = "\n" * 65_536  # mlx.launch takes a core to itself for as long as it could write to a rank's stdin


def free_port(count: int) -> int:
    """The first of `count` ports in a row that nobody uses."""
    for first in range(20_000 + os.getpid() % 10_000, 60_000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no port is free")


def launched(backend: str, count: int, *words: str) -> subprocess.Popen[str]:
    """The command under the launcher of a backend."""
    port = str(free_port(count))
    command = {
        "mlx": [
            str(BIN / "mlx.launch"),
            "--backend",
            "ring",
            "-n",
            str(count),
            "--starting-port",
            port,
            sys.executable,
        ],
        "torch": [*TORCHRUN, "--nproc-per-node", str(count), "--master-port", port],
    }[backend]
    process = subprocess.Popen(
        [*command, "-m", "gemmalocal", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(PIPE_FULL)
    process.stdin.flush()
    return process


def said_by(process: subprocess.Popen[str]) -> str:
    """All that it says until its end. Its stdin stays open meanwhile: mlx.launch spins on a closed one too."""
    assert process.stdin is not None
    assert process.stdout is not None
    guard = threading.Timer(HANGS, process.kill)
    guard.start()
    said = process.stdout.read()
    process.wait()
    guard.cancel()
    with suppress(BrokenPipeError):
        process.stdin.close()
    return said


def together(backend: str, count: int, *words: str) -> tuple[int, str]:
    process = launched(backend, count, *words)
    said = said_by(process)
    return process.returncode, said


@pytest.fixture
def together_forked(fork_servers: dict[str, ForkServer]) -> Together:
    """As `together`, in forks where that saves something: torch takes each process seconds to import."""

    def forked(backend: str, count: int, *words: str) -> tuple[int, str]:
        with pytest.MonkeyPatch.context() as patch:
            if backend == "torch":
                fork(backend, fork_servers, patch)
            return together(backend, count, *words)

    return forked


def assert_close(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_allclose(left[name], right[name], atol=2e-4, err_msg=name)


ENGINES = [("mlx", 2), ("mlx", 3), ("torch", 2)]


KINDS = [
    *((*engine, "sft") for engine in ENGINES),
    ("mlx", 2, "kto"),
    ("mlx", 3, "dpo"),
    ("mlx", 2, "a teacher"),
    ("mlx", 2, "self"),
]


@pytest.mark.parametrize(("backend", "count", "kind"), KINDS)
def test_several_processes_equal_one(
    recipe_path: Path, workspace: Path, pairs: Path, backend: str, count: int, kind: str
) -> None:
    choice = ["--set", f"backend={backend}", "--set", "lora.dropout=0"]
    if kind in JUDGING:
        choice += ["--set", f"objective.kind={kind}", "--set", f"data.path={pairs}"]
    elif kind != "sft":
        choice += ["--set", f"teacher.model={taught_by(kind, recipe_path)}", "--set", "teacher.keep=8"]
    alone = run("train", str(recipe_path), "--name", "alone", *choice)
    assert alone.returncode == 0, alone.stderr
    shutil.rmtree(paths.teachers(), ignore_errors=True)  # the processes read themselves what the teacher says
    code, said = together(backend, count, "train", str(recipe_path), "--name", "many", *choice)
    assert code == 0, said
    one, many = workspace / "runs" / "alone", workspace / "runs" / "many"
    first, second = history.read(one), history.read(many)
    assert f"{count} processes share each step" in second.notices
    assert [step.tokens for step in first.steps] == [step.tokens for step in second.steps]
    assert [step.loss for step in first.steps] == pytest.approx([step.loss for step in second.steps], rel=1e-4)
    assert [step.grad_norm for step in first.steps] == pytest.approx(
        [step.grad_norm for step in second.steps], rel=1e-3
    )
    assert [look.loss for look in first.evaluations] == pytest.approx(
        [look.loss for look in second.evaluations], rel=1e-4
    )
    assert_close(weights(one), weights(many))


def taught_by(kind: str, recipe_path: Path) -> str:
    """A teacher's name: the model itself, or a run that has learned the rows."""
    if kind == "self":
        return kind
    taught = run("train", str(recipe_path), "--name", "teacher", "--set", "lora.rank=8", "--set", "samples.prompts=[]")
    assert taught.returncode == 0, taught.stderr
    return "teacher"


@pytest.mark.parametrize(("backend", "count"), [ENGINES[0], ENGINES[2]])
def test_several_processes_search_as_one(
    recipe_path: Path, workspace: Path, together_forked: Together, backend: str, count: int
) -> None:
    over = ["--over", "train.learning_rate=1e-4,3e-2", "--over", "lora.layers=1,all"]
    choice = [*over, "--set", f"backend={backend}", "--set", "lora.dropout=0", "--set", "train.prompt_weight=0.5"]
    alone = run("tune", str(recipe_path), "--name", "alone", *choice)
    assert alone.returncode == 0, alone.stderr
    code, said = together_forked(backend, count, "tune", str(recipe_path), "--name", "many", *choice)
    assert code == 0, said
    one, many = workspace / "runs" / "alone", workspace / "runs" / "many"
    first, second = (json.loads((folder / "search.json").read_text()) for folder in (one, many))
    assert [second[name] for name in ("trials", "rungs", "winner")] == [
        first[name] for name in ("trials", "rungs", "winner")
    ]
    assert [result["loss"] for result in second["results"]] == pytest.approx(
        [result["loss"] for result in first["results"]], rel=1e-4
    )
    assert history.read(many).status == "done", said
    assert_close(weights(one), weights(many))


@pytest.mark.parametrize(("backend", "count"), [ENGINES[0], ENGINES[2]])
def test_who_is_killed_ends_the_others_and_resume_goes_on(
    recipe_path: Path, workspace: Path, together_forked: Together, backend: str, count: int
) -> None:
    """With dropout, whose draws are of the whole group's micro-batches."""
    choice = ["--set", f"backend={backend}", "--set", "lora.dropout=0.1"]
    code, said = together_forked(backend, count, "train", str(recipe_path), "--name", "whole", *choice)
    assert code == 0, said
    process = launched(backend, count, "train", str(recipe_path), "--name", "cut", *choice)
    job = processes.Job(workspace / "runs" / "cut")
    until(lambda: steps_seen(job) >= 5, process)
    family = psutil.Process(process.pid).children(recursive=True)
    own = int((job.directory / "lock").read_text().split()[0])
    follower = next(one for one in family if one.pid != own and "gemmalocal.worker" in one.cmdline())
    follower.kill()
    said = said_by(process)
    assert psutil.wait_procs(family, timeout=60)[1] == [], said
    assert history.read(job.directory).status in ("failed", "killed"), said
    code, said = together_forked(backend, count, "resume", "cut")
    assert code == 0, said
    whole, cut = history.read(workspace / "runs" / "whole"), history.read(job.directory)
    assert [step.loss for step in cut.steps] == [step.loss for step in whole.steps]
    assert same(weights(workspace / "runs" / "whole"), weights(job.directory))


def test_a_wish_to_stop_is_everybodys(recipe_path: Path, workspace: Path) -> None:
    process = launched("mlx", 2, "train", str(recipe_path), "--name", "long", "--set", "train.steps=100000")
    job = processes.Job(workspace / "runs" / "long")
    until(lambda: steps_seen(job) >= 2, process)
    assert run("stop", "long").returncode == 0
    said = said_by(process)
    state = history.read(job.directory)
    assert state.status == "stopped", said
    assert state.saved is not None
    assert state.saved.step == state.steps[-1].step


def test_what_rank_0_cannot_do_ends_all(recipe_path: Path, workspace: Path) -> None:
    missing = ["--set", "data.path=nowhere.jsonl"]
    _, said = together("mlx", 2, "train", str(recipe_path), "--name", "none", *missing)  # mlx.launch says 0 always
    assert history.read(workspace / "runs" / "none").status == "failed"
    assert "nowhere.jsonl" in said
    assert "Traceback" not in said


def test_a_launched_run_needs_a_name_and_stays(recipe_path: Path) -> None:
    assert "--name" in together("mlx", 2, "train", str(recipe_path))[1]
    assert "--detach" in together("mlx", 2, "train", str(recipe_path), "--name", "x", "--detach")[1]


@pytest.mark.parametrize("backend", ["mlx", "torch"])
def test_a_launcher_of_one_is_none(recipe_path: Path, workspace: Path, backend: str) -> None:
    code, said = together(backend, 1, "train", str(recipe_path), "--set", "train.steps=2")
    assert code == 0, said
    (folder,) = history.list_runs()
    assert history.read(folder).status == "done", said


def test_the_engine_is_whose_launcher_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLX_RANK", "1")
    assert launcher.launched() == (launcher.MLX, 1)
    assert open_backend("auto").name == "mlx"
    with pytest.raises(BackendUnavailable, match="mlx.launch cannot join processes of torch"):
        open_backend("torch").group()
    monkeypatch.delenv("MLX_RANK")
    monkeypatch.setenv("RANK", "0")
    assert launcher.launched() is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert open_backend("auto").name == "torch"
    with pytest.raises(BackendUnavailable, match="torchrun cannot join processes of MLX"):
        open_backend("mlx").group()
