"""Where MLX runs, and what must happen before it is imported.

MLX's Linux CPU wheel brings a reference BLAS of 2 GFLOP/s; OpenBLAS loaded in front of it gives about 180 on two
cores. `mx.compile` on the CPU calls a C++ compiler at run time and gains nothing there: it is switched off.
What differs between a CPU and a GPU is in compute_path.py.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
import time
from dataclasses import replace
from functools import cache
from typing import Any

from gemmalocal.backends.mlx import compute_path
from gemmalocal.data.batches import BatchShape
from gemmalocal.planning import device_memory as planning
from gemmalocal.planning import memory as planning_memory
from gemmalocal.planning.device_memory import MLX_PATH, DeviceMemory
from gemmalocal.planning.memory import EngineProfile

MAX_STREAMS = 4  # on the CPU: the activations of each are in memory
SLOW_GFLOPS = 20  # a reference BLAS reaches 2, OpenBLAS on two cores over 100
BREADTH_FIRST = "MLX_BFS_MAX_WIDTH"
CACHE_LIMIT = 1 << 28  # bytes of freed buffers that MLX keeps until a step was measured (buffer_cache.py), and at least


def prepare() -> None:
    """Load OpenBLAS in front of MLX's own BLAS (Linux only) and set MLX up."""
    load_openblas()
    import mlx.core as mx

    chosen = os.environ.get(MLX_PATH)
    if chosen == compute_path.CPU.name:
        mx.set_default_device(mx.cpu)
    mx.set_cache_limit(CACHE_LIMIT)
    if compute_path.device_is_cpu():
        mx.disable_compile()
        if chosen != compute_path.GPU.name:
            # MLX queues the work of one evaluation depth first, stream after stream, once its graph is wider than this;
            # breadth first, streams get their work in turns. MLX reads it once, at the process's first evaluation.
            os.environ.setdefault(BREADTH_FIRST, "1000000")


@cache  # looking for one that is missing runs other programs, and streams ask in every step
def load_openblas() -> str | None:
    """The name of the OpenBLAS that was loaded; None if there is none, or on macOS, which needs none."""
    if sys.platform != "linux":
        return None
    for name in ("libopenblas.so.0", ctypes.util.find_library("openblas")):
        try:
            if name:
                ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
                return name
        except OSError:
            continue
    return None


def blas_threads(count: int | None = None) -> int:
    """How many threads OpenBLAS uses (OPENBLAS_NUM_THREADS, or the processors), or `count` from now on; else 1."""
    name = load_openblas()
    if name is None:
        return 1
    blas = ctypes.CDLL(name)
    if count is not None:
        blas.openblas_set_num_threads(count)
    return int(blas.openblas_get_num_threads())


def at_home() -> bool:
    """Whether there is a GPU, or OpenBLAS: without one, products on the CPU are forty times slower."""
    return not compute_path.device_is_cpu() or load_openblas() is not None


def device_memory() -> DeviceMemory:
    """What Metal recommends, a card's (MLX's CUDA build), or the machine's."""
    import mlx.core as mx

    told: dict[str, Any] = {} if compute_path.device_is_cpu() else mx.device_info()
    if working_set := told.get("max_recommended_working_set_size"):
        return planning.of_metal(int(working_set))
    return planning.of_card(int(told["total_memory"])) if "total_memory" in told else planning.ram()


def memory_profile() -> EngineProfile:
    """That of the path that is taken."""
    return planning_memory.profile("mlx", gpu_path=compute_path.current().name == compute_path.GPU.name)


def shapes() -> BatchShape:
    """The shapes of micro-batches on this path; on the CPU a stream for each thread of the BLAS."""
    path = compute_path.current()
    streams = min(blas_threads(), MAX_STREAMS) if path.name == compute_path.CPU.name else 1
    return replace(path.shapes, streams=streams)


def weight_bytes(dtype: str) -> int:
    """Bytes of a weight in a recipe's dtype."""
    return compute_path.current().auto_bytes if dtype == "auto" else 4 if dtype == "float32" else 2


activation_bytes = weight_bytes  # activations are in the weights' type


def device_name() -> str:
    """What `doctor` calls the device, and the path if it is another's."""
    import mlx.core as mx

    name = "CPU" if compute_path.device_is_cpu() else "Metal" if mx.metal.is_available() else "CUDA"
    return f"{name}, on the GPU's path ({MLX_PATH}=gpu)" if compute_path.current().forced else name


def device_remark() -> str:
    """Which path the variable chose, where that is not this machine's own."""
    import mlx.core as mx

    path, on_cpu = compute_path.current(), compute_path.device_is_cpu()
    if path.forced:
        return f"MLX computes on the CPU by the GPU's path, since {MLX_PATH} is {path.name}"
    if on_cpu and (mx.metal.is_available() or mx.cuda.is_available()):
        return f"MLX computes on the CPU and not on the GPU, since {MLX_PATH} is {path.name}"
    return ""


def probe() -> dict[str, Any]:
    """The device, the BLAS and the measured rate of a float32 matrix product, in GFLOP/s."""
    import mlx.core as mx

    size = 1024
    left = mx.random.normal((size, size))
    mx.eval(left @ left)
    start, count = time.perf_counter(), 8
    for _ in range(count):
        mx.eval(left @ left)
    rate = count * 2 * size**3 / (time.perf_counter() - start) / 1e9
    blas = load_openblas()
    slow = compute_path.device_is_cpu() and rate < SLOW_GFLOPS
    return {
        "engine": "mlx",
        "device": device_name(),
        "blas": blas or ("none" if sys.platform == "linux" else "Accelerate"),
        "gflops": round(rate, 1),
        "dtype": "float32",
        "hint": "OpenBLAS is missing. Debian, Ubuntu: sudo apt-get install libopenblas0-pthread" if slow else "",
        "cache_limit": CACHE_LIMIT,
    }
