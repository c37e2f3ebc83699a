"""How much memory a run may take where it computes: a card's, what Metal recommends, or the machine's.

The drivers are asked, and no engine is imported; an engine asks its own allocator, which gives the same figures.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from ctypes import byref, c_int, c_size_t
from dataclasses import dataclass
from functools import cache
from typing import Any

from gemmalocal.planning import hardware, macos, memory

RAM_SHARE, CARD_SHARE, METAL_SHARE = 0.7, 0.9, 0.9  # usable: the rest is the system's, and that of other programs
MLX_PATH = "GEMMALOCAL_MLX_PATH"  # cpu or gpu: the path that the MLX engine takes, whatever the device
CUDA = "libcuda.so.1"  # the driver's own library
CAPABILITY_MAJOR = 75  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
AMPERE = 8  # the first with bfloat16


@dataclass(frozen=True)
class DeviceMemory:
    """Bytes in all, bytes that a run may take, and `of` what, as in "3.1 of 15.8 GB of the card's memory"."""

    total: int
    usable: int
    of: str


@dataclass(frozen=True)
class Card:
    """An NVIDIA card: its bytes of memory, and whether it computes in bfloat16."""

    memory: int
    bfloat16: bool


def ram(total: int | None = None) -> DeviceMemory:
    """The machine's, of which `total` are bytes if given."""
    total = hardware.probe()["memory"] if total is None else total
    return DeviceMemory(total, int(RAM_SHARE * total), "RAM")


def of_card(total: int) -> DeviceMemory:
    """Of a card with so many bytes."""
    return DeviceMemory(total, int(CARD_SHARE * total), "the card's memory")


def of_metal(working_set: int) -> DeviceMemory:
    """Of Apple's GPU, which shares the machine's; `working_set` is recommendedMaxWorkingSetSize in bytes."""
    return DeviceMemory(working_set, int(METAL_SHARE * working_set), "Metal's working set")


def of_engine(backend: str) -> DeviceMemory:
    """Where a recipe's `backend` would compute here."""
    used = card_of(backend)
    if used is not None:
        return of_card(used.memory)
    working_set = macos.metal_working_set() if on_apple_silicon() else None
    return ram() if working_set is None else of_metal(working_set)


def mlx_on_gpu() -> bool:
    """Whether MLX takes a GPU's path here, without asking MLX."""
    return os.environ.get(MLX_PATH, "gpu" if on_apple_silicon() else "cpu") == "gpu"


def on_apple_silicon() -> bool:
    """Whether this is a Mac whose GPU the engines use."""
    return bool(hardware.probe()["system"] == "Darwin arm64")


def card_of(backend: str) -> Card | None:
    """The card that a recipe's `backend` would use; `auto` takes the engine for cards where there is one."""
    engines = [name for name, profile in memory.ENGINES.items() if profile.on_cards and backend in ("auto", name)]
    return card() if any(map(importlib.util.find_spec, engines)) else None


@cache
def card() -> Card | None:
    """The first that CUDA shows to a process; None without one."""
    try:
        return card_by(ctypes.CDLL(CUDA))
    except OSError:
        return None


def card_by(cuda: Any) -> Card | None:
    """The same by CUDA's driver library."""
    number, memory, major = c_int(), c_size_t(), c_int()
    try:
        failed = (
            cuda.cuInit(0)
            or cuda.cuDeviceGet(byref(number), 0)
            or cuda.cuDeviceTotalMem_v2(byref(memory), number)
            or cuda.cuDeviceGetAttribute(byref(major), CAPABILITY_MAJOR, number)
        )
    except AttributeError:
        return None
    return None if failed else Card(memory.value, major.value >= AMPERE)
