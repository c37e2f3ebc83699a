"""The MLX sibling: Metal on Apple Silicon, and the CPU build elsewhere."""

from importlib import import_module
from typing import Any

from gemmalocal.backends.mlx import device
from gemmalocal.backends.transformers_import import put_off

device.prepare()  # before anything imports mlx.core

with put_off():
    from gemmalocal.backends.mlx.device import (
        activation_bytes,
        at_home,
        device_memory,
        device_remark,
        memory_profile,
        probe,
        shapes,
        weight_bytes,
    )
    from gemmalocal.backends.mlx.distributed import group
    from gemmalocal.backends.mlx.generate import generator
    from gemmalocal.backends.mlx.quantize_model import quantize
    from gemmalocal.backends.mlx.train import trainer

__all__ = [
    "activation_bytes",
    "at_home",
    "device_memory",
    "device_remark",
    "generator",
    "group",
    "load_with_mlx_lm",
    "memory_profile",
    "name",
    "probe",
    "quantize",
    "shapes",
    "train_baseline",
    "trainer",
    "weight_bytes",
]

name = "mlx"
# By mlx-lm's own trainer, which brings wandb where that is installed: half a second that few jobs need.
LATER = {"train_baseline": "baseline", "load_with_mlx_lm": "mlx_lm_reader"}


def __getattr__(later: str) -> Any:
    """What is imported when it is first asked for."""
    if later not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {later!r}")
    with put_off():
        return getattr(import_module(f"{__name__}.{LATER[later]}"), later)
