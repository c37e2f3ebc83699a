"""The MLX sibling: Metal on Apple Silicon, and the CPU build elsewhere."""

from gemmalocal.backends.mlx import device
from gemmalocal.backends.transformers_import import without_torch

device.prepare()  # before anything imports mlx.core

with without_torch():
    from gemmalocal.backends.mlx.baseline import train_baseline
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
    from gemmalocal.backends.mlx.mlx_lm_reader import load_with_mlx_lm
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
