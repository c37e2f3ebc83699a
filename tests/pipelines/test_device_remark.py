"""What a variable chose of the device is said by every command that computes: check, train and chat."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import pytest

from gemmalocal.backends import open_backend
from gemmalocal.backends.mlx import compute_path
from gemmalocal.backends.torch import device as torch_device
from gemmalocal.pipelines.shared.chat_models import load_chat_models
from gemmalocal.planning.device_memory import MLX_PATH
from tests.here import run

open_backend("mlx")


@pytest.mark.parametrize(
    ("backend", "variable", "value", "said"),
    [
        ("mlx", MLX_PATH, "gpu", "MLX computes on the CPU by the GPU's path"),
        ("torch", torch_device.DESCRIPTION, "mps", "torch computes on the CPU, as if it were mps"),
    ],
)
def test_what_a_variable_chose_is_said(
    recipe_path: Path,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    variable: str,
    value: str,
    said: str,
) -> None:
    words = [str(recipe_path), "--set", f"backend={backend}", "--set", "train.steps=1", "--json"]
    quiet = run("check", *words)
    assert variable not in quiet.stdout
    monkeypatch.setenv(variable, value)
    if variable == MLX_PATH and not compute_path.device_is_cpu():
        pytest.skip("the GPU's path is this machine's own")
    assert [note for note in json.loads(run("check", *words).stdout)["notes"] if said in note and variable in note]
    trained = run("train", *words, "--name", "one")
    assert trained.returncode == 0, trained.stderr
    events = [json.loads(line) for line in trained.stdout.splitlines()]
    assert [event["text"] for event in events if event["event"] == "notice" and said in event["text"]]
    notices = list(load_chat_models([{"name": "one", "run": "one"}]))
    assert any(said in getattr(event, "text", "") for event in notices)
    monkeypatch.setenv(variable, "abacus")
    wrong = run("check", *words)
    assert wrong.returncode != 0
    assert variable in wrong.stdout + wrong.stderr


def test_a_cpu_chosen_beside_a_gpu_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = open_backend("mlx")
    if compute_path.device_is_cpu():
        assert backend.device_remark() == ""
    monkeypatch.setenv(MLX_PATH, "cpu")
    monkeypatch.setattr(compute_path, "device_is_cpu", lambda: True)
    monkeypatch.setattr(mx.metal, "is_available", lambda: True)
    assert "not on the GPU" in backend.device_remark()
