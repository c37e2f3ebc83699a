"""The torch engine through the same commands, and who is chosen when a recipe leaves it open."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gemmalocal import backends, history
from gemmalocal.backends import adapters, mlx, open_backend
from gemmalocal.errors import BackendUnavailable


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gemmalocal", *words], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_recipe_trains_with_torch_and_doctor_knows_it(recipe_path: Path, workspace: Path) -> None:
    whole = run("train", str(recipe_path), "--set", "backend=torch", "--name", "whole")
    assert whole.returncode == 0, whole.stderr
    folder = workspace / "runs" / "whole"
    assert {adapters.WEIGHTS, adapters.CONFIG} <= {path.name for path in (folder / "adapter").iterdir()}
    state = history.read(folder)
    assert state.plan["engine"] == "torch"
    assert len(state.steps) == 12
    told = run("doctor", "--json")
    assert told.returncode == 0, told.stderr
    engine = json.loads(told.stdout)["engines"]["torch"]
    assert engine["gflops"] > 0
    assert engine["why"]


def test_auto_takes_what_the_machine_is_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from gemmalocal.backends import torch

    def chosen(metal_or_blas: bool, card: bool) -> str:
        monkeypatch.setattr(mlx, "at_home", lambda: metal_or_blas)
        monkeypatch.setattr(torch, "at_home", lambda: card)
        monkeypatch.setattr(backends, "NVIDIA", ("/",) if card else ())
        return open_backend("auto").name

    assert chosen(True, False) == "mlx"
    assert chosen(True, True) == "torch"
    assert chosen(False, False) == "torch"
    monkeypatch.setattr(backends, "NVIDIA", ("/",))  # a driver, and no card
    monkeypatch.setattr(torch, "at_home", lambda: False)
    monkeypatch.setattr(mlx, "at_home", lambda: True)
    assert open_backend("auto").name == "mlx"


def test_a_backend_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendUnavailable, match="jax"):
        open_backend("jax")
    monkeypatch.setattr(backends, "BACKENDS", {"odd": ("odd", ("no_such_package",), "pip install odd")})
    with pytest.raises(BackendUnavailable) as found:
        open_backend("odd")
    assert found.value.hint == "pip install odd"
