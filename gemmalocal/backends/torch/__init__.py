"""The torch sibling: CUDA, the CPU, and Apple's GPU for those who want torch there."""

from gemmalocal.backends.torch.device import at_home, probe, shapes, stream_bytes, weight_bytes
from gemmalocal.backends.torch.generate import generator
from gemmalocal.backends.torch.ranks import group
from gemmalocal.backends.torch.rival import rival
from gemmalocal.backends.torch.train import trainer

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
