"""Several MLX processes as one trainer, started by mlx.launch (ring over TCP, JACCL, NCCL)."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from gemmalocal.backends.mlx.errors import translated
from gemmalocal.backends.process_group import Group, joined
from gemmalocal.errors import WorkKilled
from gemmalocal.jobs import exit_causes, launcher


class MlxGroup:
    """A rank of MLX's global group."""

    def __init__(self) -> None:
        with translated():
            self._group = mx.distributed.init(strict=True)
        self.rank, self.size = self._group.rank(), self._group.size()

    def sum(self, values: Sequence[float]) -> list[float]:
        """Sums over all ranks, in float64, which only the CPU has.

        MLX's ring may leave a sum undone when a rank is gone, and say so only in its log: all are counted after it.
        """
        with translated(), mx.stream(mx.cpu):
            sums, present = (
                np.array(mx.distributed.all_sum(mx.array(summands, mx.float64), group=self._group)).tolist()
                for summands in (list(values), [1.0])
            )
        if present != [self.size]:
            raise WorkKilled(exit_causes.PEER.message, exit_causes.PEER.hint)
        return sums

    def gradients(self, values: list[mx.array]) -> list[mx.array]:
        """Sums over all ranks of arrays whose shapes are the same on each."""
        with translated():
            means: list[mx.array] = nn.average_gradients(values, self._group)
            sums = [mean * self.size for mean in means]
            mx.eval(sums)
        return sums


def group() -> Group:
    """Join, once, all processes of mlx.launch, or this one alone; raises `BackendUnavailable` for a wrong launcher."""
    remedy = f"Start them with {launcher.MLX} -n 2 ..., or take the torch backend: --set backend=torch"
    return joined("MLX", launcher.MLX, remedy, MlxGroup)
