"""A model's folder to one whose weights are in MLX's affine groups, by mlx-lm's own converter."""

from __future__ import annotations

from pathlib import Path

from mlx_lm import convert

from gemmalocal.backends.mlx.errors import translated
from gemmalocal.planning.memory import GROUP


def quantize(folder: Path, target: Path, bits: int) -> None:
    """Quantize the model in `folder` to `bits` and write it as `target`, a folder that is not there yet."""
    with translated():
        convert(str(folder), str(target), quantize=True, q_group_size=GROUP, q_bits=bits)
