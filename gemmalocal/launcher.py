"""Whether this process is one of several that a launcher started, told by the environment.

mlx.launch (ring, JACCL and NCCL) sets MLX_RANK; torchrun sets RANK and WORLD_SIZE.
"""

from __future__ import annotations

import os
from typing import NamedTuple

MLX, TORCH = "mlx.launch", "torchrun"
_SETS = {MLX: ("MLX_RANK",), TORCH: ("RANK", "WORLD_SIZE")}


class Launched(NamedTuple):
    """By which launcher, and as which of its processes."""

    by: str
    rank: int


def found() -> Launched | None:
    """None if a person, or our own command, started this process."""
    for name, variables in _SETS.items():
        if all(os.environ.get(variable, "").isdigit() for variable in variables):
            return Launched(name, int(os.environ[variables[0]]))
    return None
