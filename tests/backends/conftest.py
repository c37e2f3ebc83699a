"""Both engines are opened before a test here imports either: torch before transformers, OpenBLAS before `mlx.core`.

And both paths of the MLX engine, whatever this machine's device is.
"""

from __future__ import annotations

import pytest

from gemmalocal.backends import open_backend
from gemmalocal.backends.mlx import compute_path
from tests import with_torch

__all__ = ["with_torch"]

open_backend("mlx")


@pytest.fixture(params=[compute_path.CPU.name, compute_path.GPU.name])
def either_path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs on the CPU's path and on the GPU's; gives its name."""
    monkeypatch.setenv(compute_path.VARIABLE, request.param)
    return str(request.param)


@pytest.fixture
def cpu_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what only the CPU's path has."""
    monkeypatch.setenv(compute_path.VARIABLE, compute_path.CPU.name)
