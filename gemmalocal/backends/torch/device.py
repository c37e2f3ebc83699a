"""Where torch runs, in which numbers, and what micro-batches it likes there."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import torch

from gemmalocal.data.batches import BatchShape

# Rows are packed without padding: a pass has a price (every weight is read), lengths have none.
CPU_SHAPES = BatchShape(multiple=1, overhead=128, limit=512)
GPU_SHAPES = BatchShape(multiple=1, overhead=512, limit=4096)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
AMPERE = (8, 0)  # the first compute capability with bfloat16


class Precision(NamedTuple):
    """In which numbers the frozen weights are and are multiplied, in which all else flows, and why."""

    weights: torch.dtype
    stream: torch.dtype
    why: str

    @property
    def mixed(self) -> bool:
        """Whether the two differ."""
        return self.weights != self.stream


def precision(kind: str, capability: tuple[int, int] | None, dtype: str) -> Precision:
    """The precision for a device's kind (cuda, mps, cpu), its CUDA capability, and a recipe's `dtype`."""
    if dtype == "auto" and kind == "cuda":
        dtype = "bfloat16" if capability is not None and capability >= AMPERE else "float16"
    elif dtype == "auto":
        dtype = "float32"
        why = "products in float32 are the fast ones on a CPU" if kind == "cpu" else "bfloat16 is unmeasured on MPS"
        return Precision(torch.float32, torch.float32, why)
    if dtype == "float16":  # transformers#36822
        why = "no bfloat16 before Ampere, and Gemma 3 overflows where all is float16: only weights and products are"
        return Precision(torch.float16, torch.float32, why)
    if dtype == "bfloat16" and kind == "cpu":
        why = "products in bfloat16 are twice as fast where the CPU has them (AVX512-BF16, AMX); all else is not"
        return Precision(torch.bfloat16, torch.float32, why)
    return Precision(DTYPES[dtype], DTYPES[dtype], f"{dtype} throughout")


def current() -> torch.device:
    """CUDA's current card (the first, or a rank's own), else Apple's GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def here(dtype: str) -> Precision:
    """The precision for a recipe's `dtype` on the current device."""
    device = current()
    capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    return precision(device.type, capability, dtype)


def at_home() -> bool:
    """Whether there is a CUDA card."""
    return torch.cuda.is_available()


def shapes() -> BatchShape:
    """Small micro-batches on the CPU, where memory counts more than the price of a pass."""
    return CPU_SHAPES if current().type == "cpu" else GPU_SHAPES


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
        "device": {"cpu": "CPU", "mps": "Metal"}.get(device.type) or torch.cuda.get_device_name(device),
        "blas": _blas(device.type),
        "gflops": round(rate, 1),
        "dtype": str(precision_here.weights).removeprefix("torch."),
        "why": precision_here.why,
    }


def _blas(kind: str) -> str:
    if kind != "cpu":
        return {"cuda": f"CUDA {torch.version.cuda}", "mps": "MPS"}[kind]
    return "MKL" if torch.backends.mkl.is_available() else "OpenBLAS or Accelerate"


def _wait_for(product: torch.Tensor) -> None:
    float(product[0, 0])  # a GPU computes when it is asked for a result
