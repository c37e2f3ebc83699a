"""Where torch runs, what the device there can do, in which numbers, and what micro-batches it likes.

`DESCRIPTION` in the environment names a description that is tried on the CPU, for tests and for looking.
"""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gemmalocal.data.batches import BatchShape
from gemmalocal.errors import BackendUnavailable
from gemmalocal.planning import device_memory as planning
from gemmalocal.planning import memory as planning_memory
from gemmalocal.planning.device_memory import DeviceMemory
from gemmalocal.planning.memory import EngineProfile

# Rows are packed without padding: a pass has a price (every weight is read), lengths have none.
CPU_SHAPES = BatchShape(multiple=1, overhead=128, limit=512)
GPU_SHAPES = BatchShape(multiple=1, overhead=512, limit=4096)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
AMPERE = (8, 0)  # the first compute capability with bfloat16
DESCRIPTION = "GEMMALOCAL_TORCH_TRAITS"


@dataclass(frozen=True)
class DeviceTraits:
    """What a kind of device can do, where the kinds differ. Code asks these, and not which kind it is."""

    dtype: str  # that `auto` means
    why: str  # it means that
    bfloat16_stream: bool  # all else is as fast in bfloat16 as products are
    autocast: torch.dtype | None  # for products with trained float32 weights, of float32's range
    float64: bool
    pinned: bool  # copies from pinned memory need not be waited for
    eight_bit_optimizer: bool  # bitsandbytes has AdamW with an 8-bit state there
    paged: bool  # and lets that go to the machine's memory where the device's is short
    grouped_attention: bool  # a kernel reads keys that several heads share as they are
    shapes: BatchShape

    def __post_init__(self) -> None:
        assert self.eight_bit_optimizer or not self.paged


CPU = DeviceTraits(
    dtype="float32",
    why="products in float32 are the fast ones on a CPU",
    bfloat16_stream=False,
    autocast=None,
    float64=True,
    pinned=False,
    eight_bit_optimizer=True,
    paged=False,
    grouped_attention=False,
    shapes=CPU_SHAPES,
)
MPS = replace(
    CPU,
    why="bfloat16 is unmeasured on MPS",
    bfloat16_stream=True,
    float64=False,
    eight_bit_optimizer=False,
    shapes=GPU_SHAPES,
)
CUDA = DeviceTraits(
    dtype="bfloat16",
    why="",
    bfloat16_stream=True,
    autocast=torch.bfloat16,
    float64=True,
    pinned=True,
    eight_bit_optimizer=True,
    paged=True,
    grouped_attention=True,
    shapes=GPU_SHAPES,
)
TURING = replace(CUDA, dtype="float16", autocast=None, grouped_attention=False)  # and older
DESCRIPTIONS = {"cpu": CPU, "mps": MPS, "cuda": CUDA, "turing": TURING}


class Precision(NamedTuple):
    """In which numbers the frozen weights are and are multiplied, in which all else flows, and why."""

    weights: torch.dtype
    stream: torch.dtype
    why: str

    @property
    def mixed(self) -> bool:
        """Whether the two differ."""
        return self.weights != self.stream


def precision(traits: DeviceTraits, dtype: str) -> Precision:
    """The precision on a device for a recipe's `dtype`."""
    why = traits.why if dtype == "auto" else ""
    dtype = traits.dtype if dtype == "auto" else dtype
    if dtype == "float16":  # transformers#36822
        why = "no bfloat16 before Ampere, and Gemma 3 overflows where all is float16: only weights and products are"
        return Precision(torch.float16, torch.float32, why)
    if dtype == "bfloat16" and not traits.bfloat16_stream:
        why = "products in bfloat16 are twice as fast where the CPU has them (AVX512-BF16, AMX); all else is not"
        return Precision(torch.bfloat16, torch.float32, why)
    return Precision(DTYPES[dtype], DTYPES[dtype], why or f"{dtype} throughout")


def tried() -> str:
    """The description that is tried on the CPU; empty without one. Raises `BackendUnavailable` for an unknown name."""
    name = os.environ.get(DESCRIPTION, "")
    if name and name not in DESCRIPTIONS:
        raise BackendUnavailable(
            f"{DESCRIPTION} is '{name}', and no device is described so.", f"There are {', '.join(DESCRIPTIONS)}."
        )
    return name


def traits() -> DeviceTraits:
    """What the current device can do, or what the one can that is tried on the CPU."""
    name = tried()
    return DESCRIPTIONS[name] if name else _traits_here()


@cache
def _traits_here() -> DeviceTraits:
    device = current()
    if device.type == "cuda":
        return CUDA if torch.cuda.get_device_capability(device) >= AMPERE else TURING
    return DESCRIPTIONS[device.type]


def current() -> torch.device:
    """CUDA's current card (the first, or a rank's own), else Apple's GPU, else the CPU."""
    if tried():
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def here(dtype: str) -> Precision:
    """The precision for a recipe's `dtype` on the current device."""
    return precision(traits(), dtype)


def placed(array: NDArray[Any], device: torch.device) -> Tensor:
    """An array on the device.

    Only out of pinned memory is the copy not waited for: from elsewhere it reads what may be gone (pytorch#189690).
    """
    tensor = torch.from_numpy(array)
    if device.type == "cuda" and traits().pinned:
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def trained_products() -> AbstractContextManager[None]:
    """Within it, products with trained float32 weights are in the numbers that the device has for them.

    The weights, their gradients and the stream stay float32 (https://arxiv.org/abs/1710.03740).
    """
    dtype, kind = traits().autocast, current().type
    if dtype is None:
        return nullcontext()
    # For products outside, which are the head's: 10 bits of each factor, where bfloat16 has 7.
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    return torch.autocast(kind, dtype)


def summed(values: list[Tensor]) -> float:
    """The sum of all numbers of float32 vectors, in float64: on the CPU where the device has none. Waits once."""
    if not values:
        return 0.0
    joined = torch.cat(values)
    if traits().float64:
        return float(joined.sum(dtype=torch.float64))
    return float(joined.cpu().numpy().sum(dtype=np.float64))


def at_home() -> bool:
    """Whether there is a CUDA card."""
    return torch.cuda.is_available()


def device_memory() -> DeviceMemory:
    """The card's, what Metal recommends, or the machine's."""
    device = current()
    if device.type == "cuda":
        return planning.of_card(torch.cuda.mem_get_info(device)[1])
    return planning.of_metal(torch.mps.recommended_max_memory()) if device.type == "mps" else planning.ram()


def memory_profile() -> EngineProfile:
    """The same on every device."""
    return planning_memory.profile("torch")


def shapes() -> BatchShape:
    """Small micro-batches on the CPU, where memory counts more than the price of a pass."""
    return traits().shapes


def weight_bytes(dtype: str) -> int:
    """Bytes of a frozen weight in a recipe's dtype."""
    return here(dtype).weights.itemsize


def activation_bytes(dtype: str) -> int:
    """Bytes of a number in the activations, with weights in a recipe's dtype."""
    return here(dtype).stream.itemsize


def probe() -> dict[str, Any]:
    """The device, in which numbers it computes by default and why, and its measured rate in them, in GFLOP/s."""
    device, precision_here = current(), here("auto")
    size = 1024 if device.type == "cpu" else 4096
    factor = torch.randn(size, size, dtype=precision_here.weights, device=device)
    _wait_for(factor @ factor)
    start, count = time.perf_counter(), 8
    for _ in range(count):
        product = factor @ factor
    _wait_for(product)
    rate = count * 2 * size**3 / (time.perf_counter() - start) / 1e9
    return {
        "engine": "torch",
        "device": _name(device),
        "blas": _blas(device.type),
        "gflops": round(rate, 1),
        "dtype": str(precision_here.weights).removeprefix("torch."),
        "why": precision_here.why,
    }


def device_remark() -> str:
    """Which description the variable chose."""
    return f"torch computes on the CPU, as if it were {tried()}, since {DESCRIPTION} says so" if tried() else ""


def _name(device: torch.device) -> str:
    if tried():
        return f"CPU, as if it were {tried()} ({DESCRIPTION})"
    return {"cpu": "CPU", "mps": "Metal"}.get(device.type) or torch.cuda.get_device_name(device)


def _blas(kind: str) -> str:
    if kind != "cpu":
        return {"cuda": f"CUDA {torch.version.cuda}", "mps": "MPS"}[kind]
    return "MKL" if torch.backends.mkl.is_available() else "OpenBLAS or Accelerate"


def _wait_for(product: torch.Tensor) -> None:
    float(product[0, 0])  # a GPU computes when it is asked for a result
