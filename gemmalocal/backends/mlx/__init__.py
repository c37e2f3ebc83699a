"""The MLX sibling: Metal on Apple Silicon, and the CPU build elsewhere."""

from gemmalocal.backends.mlx import device
from gemmalocal.backends.transformers_import import without_torch

device.prepare()  # before anything imports mlx.core

with without_torch():
    from gemmalocal.backends.mlx.baseline import rival
    from gemmalocal.backends.mlx.device import at_home, probe, shapes, stream_bytes, weight_bytes
    from gemmalocal.backends.mlx.distributed import group
    from gemmalocal.backends.mlx.generate import generator
    from gemmalocal.backends.mlx.mlx_lm_reader import stock
    from gemmalocal.backends.mlx.quantize_model import quantized
    from gemmalocal.backends.mlx.train import trainer

__all__ = [
    "at_home",
    "generator",
    "group",
    "name",
    "probe",
    "quantized",
    "rival",
    "shapes",
    "stock",
    "stream_bytes",
    "trainer",
    "weight_bytes",
]

name = "mlx"
