"""The torch sibling: CUDA, the CPU, and Apple's GPU for those who want torch there."""

from gemmalocal.backends import transformers_import

transformers_import.forget()  # mlx-lm's is without torch

from gemmalocal.backends.torch.baseline import train_baseline  # noqa: E402
from gemmalocal.backends.torch.device import activation_bytes, at_home, device_memory, probe, shapes, weight_bytes  # noqa: E402
from gemmalocal.backends.torch.distributed import group  # noqa: E402
from gemmalocal.backends.torch.generate import generator  # noqa: E402
from gemmalocal.backends.torch.train import trainer  # noqa: E402

__all__ = [
    "activation_bytes",
    "at_home",
    "device_memory",
    "generator",
    "group",
    "name",
    "probe",
    "shapes",
    "train_baseline",
    "trainer",
    "weight_bytes",
]

name = "torch"
