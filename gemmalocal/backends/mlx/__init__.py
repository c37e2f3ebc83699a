"""The MLX sibling: Metal on Apple Silicon, and the CPU build elsewhere."""

from gemmalocal.backends.mlx import device

device.prepare()  # before anything imports mlx.core

from gemmalocal.backends.mlx.device import at_home, probe, shapes, stream_bytes, weight_bytes  # noqa: E402
from gemmalocal.backends.mlx.generate import generator  # noqa: E402
from gemmalocal.backends.mlx.quantized import quantized  # noqa: E402
from gemmalocal.backends.mlx.ranks import group  # noqa: E402
from gemmalocal.backends.mlx.rival import rival  # noqa: E402
from gemmalocal.backends.mlx.stock import stock  # noqa: E402
from gemmalocal.backends.mlx.train import trainer  # noqa: E402

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
