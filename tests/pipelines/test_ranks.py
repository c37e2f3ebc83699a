"""Several processes train as one: the same losses, the same adapter, one job; none is left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from gemmalocal import history
from tests.pipelines.test_runs import run

BIN = Path(sys.executable).parent
TORCH = util.find_spec("gemmalocal.backends.torch") is not None


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
        "torch": [str(BIN / "torchrun"), "--nproc-per-node", str(count), "--master-port", port],
    }[backend]
    return subprocess.Popen(
        [*command, "-m", "gemmalocal", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def together(backend: str, count: int, *words: str) -> tuple[int, str]:
    process = launched(backend, count, *words)
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def adapter(folder: Path) -> dict[str, Any]:
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def assert_close(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_allclose(left[name], right[name], atol=2e-4, err_msg=name)


ENGINES = [
    pytest.param("mlx", 2),
    pytest.param("mlx", 3),
    pytest.param("torch", 2, marks=pytest.mark.skipif(not TORCH, reason="the torch backend is not there yet")),
]


@pytest.mark.parametrize(("backend", "count"), ENGINES)
def test_several_processes_equal_one(recipe_path: Path, workspace: Path, backend: str, count: int) -> None:
    choice = ["--set", f"backend={backend}", "--set", "lora.dropout=0"]
    alone = run("train", str(recipe_path), "--name", "alone", *choice)
    assert alone.returncode == 0, alone.stderr
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
    assert_close(adapter(one), adapter(many))
