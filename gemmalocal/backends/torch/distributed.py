"""Several torch processes as one trainer, started by torchrun: NCCL between CUDA cards, gloo on the CPU."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from gemmalocal.backends.process_group import Group, joined
from gemmalocal.backends.torch.errors import translated
from gemmalocal.jobs import launcher

PATIENCE = timedelta(days=1)  # rank 0 may download a model first; who dies is noticed by its closed connection


class TorchGroup:
    """A rank of torch's default group."""

    def __init__(self) -> None:
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        with translated():
            dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE)
        atexit.register(dist.destroy_process_group)  # left to C++, gloo's threads at times abort the process at its end
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def sum(self, values: Sequence[float]) -> list[float]:
        """Sums over all ranks, in float64."""
        summed = torch.tensor(list(values), dtype=torch.float64)
        with translated():
            dist.all_reduce(summed)
        return [float(value) for value in summed]

    def gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Sum their gradients over all ranks, in place; who has none adds zeros."""
        reductions = []
        with translated():
            for weight in weights:
                if weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
                reductions.append(dist.all_reduce(weight.grad, async_op=True))
            for reduction in reductions:
                reduction.wait()


def group() -> Group:
    """Join, once, all processes of torchrun, or this one alone."""
    remedy = f"Start them with {launcher.TORCH} --nproc-per-node 2 ..., or take the MLX backend: --set backend=mlx"
    return joined("torch", launcher.TORCH, remedy, TorchGroup)
