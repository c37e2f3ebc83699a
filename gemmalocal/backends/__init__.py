"""The one place that knows backends by name. In: batches or ids. Out: numbers, ids, adapter folders."""

from __future__ import annotations

from importlib import import_module, util
from typing import cast

from gemmalocal.backends.protocol import Backend
from gemmalocal.errors import BackendUnavailable

BACKENDS = {"mlx": ("gemmalocal.backends.mlx", "mlx", "pip install gemmalocal on macOS (Apple Silicon) or Linux")}


def open_backend(name: str) -> Backend:
    """Import a backend by its recipe name; raises `BackendUnavailable`. `auto` is the first that is installed."""
    wanted = list(BACKENDS) if name == "auto" else [name]
    for candidate in wanted:
        module, package, _ = BACKENDS[candidate]
        if util.find_spec(package) is not None:
            return cast(Backend, import_module(module))
    raise BackendUnavailable(f"The backend '{name}' is not installed here.", BACKENDS[wanted[0]][2])
