"""Both engines are opened before a test here imports either: torch before transformers, OpenBLAS before `mlx.core`.

And both paths of the MLX engine, whatever this machine's device is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gemmalocal.backends import open_backend
from gemmalocal.backends.mlx import compute_path
from gemmalocal.planning.device_memory import MLX_PATH
from tests import with_torch

__all__ = ["with_torch"]

os.environ.setdefault("MLX_ENABLE_TF32", "0")  # a GPU's float32 products are compared with a CPU's
open_backend("mlx")


@pytest.fixture(params=[compute_path.CPU.name, compute_path.GPU.name])
def either_path(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs on the CPU's path and on the GPU's; gives its name."""
    with path(request.param):
        yield str(request.param)


@pytest.fixture
def cpu_path() -> Iterator[None]:
    """For what only the CPU's path has."""
    with path(compute_path.CPU.name):
        yield


@pytest.fixture
def gpu_path() -> Iterator[None]:
    """For what only the GPU's path has."""
    with path(compute_path.GPU.name):
        yield


@contextmanager
def path(name: str) -> Iterator[None]:
    """The engine takes that path meanwhile; where there is a GPU, the CPU's path computes on the CPU all the same."""
    import mlx.core as mx

    device = mx.default_device()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MLX_PATH, name)
        if name == compute_path.CPU.name:
            mx.set_default_device(mx.cpu)
        try:
            yield
        finally:
            mx.set_default_device(device)
