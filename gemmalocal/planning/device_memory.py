"""How much memory a run may take where it computes: a card's, what Metal recommends, or the machine's.

The drivers are asked, and no engine is imported; an engine asks its own allocator, which gives the same figures.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from contextlib import suppress
from ctypes import byref, c_int, c_size_t
from dataclasses import dataclass
from functools import cache
from typing import Any

from gemmalocal.planning import hardware, macos, memory
from gemmalocal.planning.memory import EngineProfile

RAM_SHARE, CARD_SHARE, METAL_SHARE = 0.7, 0.9, 0.9  # usable: the rest is the system's, and that of other programs
MLX_PATH = "GEMMALOCAL_MLX_PATH"  # cpu or gpu: the path that the MLX engine takes, whatever the device
MLX_CUDA = ("mlx-cuda-12", "mlx-cuda-13")  # the packages that MLX's CUDA build comes in
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
    on_cpu = not memory.ENGINES[engine_of(backend)].on_cards and not mlx_on_gpu()
    working_set = macos.metal_working_set() if on_apple_silicon() and not on_cpu else None
    return ram() if working_set is None else of_metal(working_set)


def profile_of(engine: str) -> EngineProfile:
    """What an engine has alive here, if it takes the path that is expected; `Backend.memory_profile` knows."""
    return memory.profile(engine, gpu_path=os.environ.get(MLX_PATH) == "gpu" or mlx_on_gpu())


def engine_of(backend: str) -> str:
    """The engine that a recipe's `backend` would be here: `auto` is one for cards where there is a card."""
    if backend in memory.ENGINES:
        return backend
    if card_of(backend) is not None:
        return engines_on_cards()[0]
    return next(name for name, profile in memory.ENGINES.items() if not profile.on_cards)


def mlx_on_gpu() -> bool:
    """Whether MLX would compute on a GPU here: a Mac's, or a card's by its CUDA build."""
    return _mlx_may_use_gpu() and (on_apple_silicon() or (_has_mlx_cuda() and card() is not None))


def on_apple_silicon() -> bool:
    """Whether this is a Mac whose GPU the engines use."""
    return bool(hardware.probe()["system"] == "Darwin arm64")


def card_of(backend: str) -> Card | None:
    """The card that a recipe's `backend` would use; `auto` takes an engine for cards where there is one."""
    engines = engines_on_cards()
    return card() if engines and backend in ("auto", *engines) else None


def engines_on_cards() -> list[str]:
    """The engines installed here that compute on an NVIDIA card; the first is the one that `auto` takes."""
    made_for_cards = [name for name, profile in memory.ENGINES.items() if profile.on_cards]
    others = [name for name in memory.ENGINES if name not in made_for_cards]
    installed = list(filter(importlib.util.find_spec, made_for_cards))
    return installed + others if _has_mlx_cuda() and _mlx_may_use_gpu() else installed


def _mlx_may_use_gpu() -> bool:
    return os.environ.get(MLX_PATH) != "cpu"


@cache
def _has_mlx_cuda() -> bool:
    """Whether MLX's CUDA build is installed."""
    from importlib import metadata  # 20 ms, and few ask

    for package in MLX_CUDA:
        with suppress(metadata.PackageNotFoundError):
            return bool(metadata.distribution(package))
    return False


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
