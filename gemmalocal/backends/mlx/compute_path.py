"""Which path the MLX engine takes, decided here alone: what is worth doing on its CPU build, and what on a GPU.

`GEMMALOCAL_MLX_PATH=gpu` takes the GPU's path on the CPU build as well: the same graph and the same allocations,
without a GPU's kernels. It is there for tests, and for whoever wants to look at the graph.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Literal

from gemmalocal.data.batches import BatchShape
from gemmalocal.errors import RecipeError
from gemmalocal.planning.device_memory import MLX_PATH


@dataclass(frozen=True)
class ComputePath:
    """What the engine does differently on a CPU and on a GPU, by what it does."""

    name: Literal["cpu", "gpu"]
    shapes: BatchShape
    auto_dtype: str  # of the weights and activations, where a recipe leaves it open
    tiled_head: bool  # float32 logits by tiles of the vocabulary, whose softmax numpy computes
    cheap_elementwise: bool  # tanh by a polynomial, and kept; rope by tables: MLX's CPU kernels are slow
    grouped: bool  # projections of the same input are one product, base and LoRA's A alike
    compiled: bool  # a micro-batch's passes, head included, and the optimizer's step are one graph each, compiled
    forced: bool = False  # by the variable, on another device

    @property
    def auto_bytes(self) -> int:
        """Bytes of a number in `auto_dtype`."""
        return 4 if self.auto_dtype == "float32" else 2


# Packed rows on the CPU, since uneven streams cost; on a GPU few shapes and long passes (mlx-lm#1185).
CPU = ComputePath(
    "cpu",
    BatchShape(multiple=8, overhead=24, limit=256, packed=True),
    "float32",  # bfloat16 products are 40 times slower than float32 ones on a CPU
    tiled_head=True,
    cheap_elementwise=True,
    grouped=False,
    compiled=False,
)
GPU = ComputePath(
    "gpu",
    BatchShape(multiple=32, overhead=256, limit=4096),
    "bfloat16",  # as Gemma is published
    tiled_head=False,
    cheap_elementwise=False,
    grouped=True,
    compiled=True,
)


def current() -> ComputePath:
    """The path of this process; raises `RecipeError` for a value of the variable that is neither."""
    on_cpu, chosen = device_is_cpu(), os.environ.get(MLX_PATH, "")
    if chosen not in ("", CPU.name, GPU.name):
        raise RecipeError(f"{MLX_PATH} is {chosen!r}.", f"Set it to {CPU.name} or {GPU.name}, or leave it out.")
    if chosen == GPU.name and on_cpu:
        return replace(GPU, auto_dtype=CPU.auto_dtype, forced=True)
    return CPU if on_cpu else GPU


def device_is_cpu() -> bool:
    """Whether MLX computes on the CPU, whichever path it takes there."""
    import mlx.core as mx

    return bool(mx.default_device().type == mx.DeviceType.cpu)
