"""The MLX sibling: Metal on Apple Silicon, and the CPU build elsewhere."""

from gemmalocal.backends.mlx import device

device.prepare()  # before anything imports mlx.core

from gemmalocal.backends.mlx.device import probe, shapes, weight_bytes  # noqa: E402
from gemmalocal.backends.mlx.ranks import group  # noqa: E402
from gemmalocal.backends.mlx.rival import rival  # noqa: E402
from gemmalocal.backends.mlx.train import trainer  # noqa: E402

__all__ = ["group", "probe", "rival", "shapes", "trainer", "weight_bytes"]
