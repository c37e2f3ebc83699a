"""The torch sibling: CUDA, the CPU, and Apple's GPU for those who want torch there."""

import os

from gemmalocal.backends import transformers_import

transformers_import.forget()  # mlx-lm's is without torch
# Before torch is imported: CUDA's allocator grows what it holds in place of holding pieces of every size that was met,
# and what Apple's GPU has no kernel for is computed on the CPU.
os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

from gemmalocal.backends.torch.baseline import train_baseline  # noqa: E402
from gemmalocal.backends.torch.device import (  # noqa: E402
    activation_bytes,
    at_home,
    device_memory,
    device_remark,
    memory_profile,
    probe,
    shapes,
    weight_bytes,
)
from gemmalocal.backends.torch.distributed import group  # noqa: E402
from gemmalocal.backends.torch.generate import generator  # noqa: E402
from gemmalocal.backends.torch.train import trainer  # noqa: E402

__all__ = [
    "activation_bytes",
    "at_home",
    "device_memory",
    "device_remark",
    "generator",
    "group",
    "memory_profile",
    "name",
    "probe",
    "shapes",
    "train_baseline",
    "trainer",
    "weight_bytes",
]

name = "torch"
