"""Both engines are opened before a test here imports either: torch before transformers, OpenBLAS before `mlx.core`."""

from gemmalocal.backends import open_backend
from tests import with_torch

__all__ = ["with_torch"]

open_backend("mlx")
