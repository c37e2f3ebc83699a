"""Whether this process is one of several that a launcher started, told by the environment.

mlx.launch (ring, JACCL and NCCL) sets MLX_RANK; torchrun sets RANK and WORLD_SIZE.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

MLX, TORCH = "mlx.launch", "torchrun"


class Launched(NamedTuple):
    """By which launcher, and as which of its processes."""

    by: str
    rank: int


def launched() -> Launched | None:
    """None if a person, or our own command, started this process; or a launcher as its only one."""
    if (rank := _number("MLX_RANK")) is not None:
        return None if _no_hosts() else Launched(MLX, rank)
    if (rank := _number("RANK")) is not None and (_number("WORLD_SIZE") or 1) > 1:
        return Launched(TORCH, rank)
    return None


def _no_hosts() -> bool:
    """`mlx.launch -n 1` gives an empty list to the ring."""
    hosts = os.environ.get("MLX_HOSTFILE")
    return bool(hosts) and not Path(hosts or "").read_text(encoding="utf-8").strip()


def _number(variable: str) -> int | None:
    value = os.environ.get(variable, "")
    return int(value) if value.isdigit() else None
