"""The torch sibling: CUDA, the CPU, and Apple's GPU for those who want torch there."""

from gemmalocal.backends import transformers_import

transformers_import.forget()  # mlx-lm's is without torch

from gemmalocal.backends.torch.baseline import rival  # noqa: E402
from gemmalocal.backends.torch.device import at_home, probe, shapes, stream_bytes, weight_bytes  # noqa: E402
from gemmalocal.backends.torch.distributed import group  # noqa: E402
from gemmalocal.backends.torch.generate import generator  # noqa: E402
from gemmalocal.backends.torch.train import trainer  # noqa: E402

__all__ = [
    "at_home",
    "generator",
    "group",
    "name",
    "probe",
    "rival",
    "shapes",
    "stream_bytes",
    "trainer",
    "weight_bytes",
]

name = "torch"
