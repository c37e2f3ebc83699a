"""The one place that knows backends by name. In: batches or ids. Out: numbers, ids, adapter folders."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module, util
from pathlib import Path
from typing import cast

from gemmalocal.backends.protocol import Backend, GraphCounter
from gemmalocal.backends.transformers_import import put_off
from gemmalocal.errors import BackendUnavailable
from gemmalocal.jobs import launcher

INSTALL_MLX = "pip install gemmalocal on macOS (Apple Silicon) or Linux"
BACKENDS = {
    "mlx": ("gemmalocal.backends.mlx", ("mlx", "mlx_lm"), INSTALL_MLX),
    "torch": ("gemmalocal.backends.torch", ("torch", "transformers"), "pip install 'gemmalocal[torch]'"),
}
NVIDIA = ("/dev/nvidiactl", "/dev/dxg")  # the driver's, on Linux and in WSL


def open_backend(name: str) -> Backend:
    """Import a backend by its recipe name; raises `BackendUnavailable`.

    `auto` is the engine whose launcher started this process; else torch where a CUDA card is, MLX where it has Metal or
    OpenBLAS, or the first that is installed of torch and MLX, whose own BLAS is slow.
    """
    if name not in (*BACKENDS, "auto"):
        raise BackendUnavailable(f"There is no backend '{name}'.", f"There are {', '.join(BACKENDS)}, and auto.")
    launched = launcher.launched()
    if name == "auto" and launched:
        name = {launcher.MLX: "mlx", launcher.TORCH: "torch"}[launched.by]
    if name != "auto":
        return _imported(name)
    has_card = any(Path(path).exists() for path in NVIDIA)  # asking torch takes seconds
    for candidate in filter(installed, ("torch", "mlx") if has_card else ("mlx",)):
        backend = _imported(candidate)
        if backend.at_home():
            return backend
    return _imported(next(filter(installed, ("torch", "mlx")), "mlx"))


def open_graph_counter() -> GraphCounter:
    """What counts a step of MLX without computing it; raises `BackendUnavailable`."""
    _imported("mlx")
    with put_off():  # mlx-lm's trainer wants transformers again
        return cast(GraphCounter, import_module("gemmalocal.backends.mlx.graph.count"))


def installed(name: str) -> bool:
    """Whether a backend could be opened here."""
    return all(util.find_spec(package) is not None for package in BACKENDS[name][1])


def _imported(name: str) -> Backend:
    if not installed(name):
        raise BackendUnavailable(f"The backend '{name}' is not installed here.", BACKENDS[name][2])
    module = BACKENDS[name][0]
    with nullcontext() if module in sys.modules else to_stay():
        return cast(Backend, import_module(module))


@contextmanager
def to_stay() -> Iterator[None]:
    """What the process holds at the end is never looked through for garbage: an engine's half a million objects stay.

    Python would look at them dozens of times while they come, and once more when the process ends: a third of torch's
    start. What other threads hold just then is not looked through either. Of a second engine the first one's models may
    be there, which must not stay, so it comes as Python has it.
    """
    if not gc.isenabled() or any(module in sys.modules for module, *_ in BACKENDS.values()):
        yield
        return
    gc.collect()  # what is garbage by now is none of it
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
