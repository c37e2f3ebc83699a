"""How much freed memory MLX keeps: what a step takes beside what stays, so that the next finds its buffers again.

With less, each step asks the system for memory that the one before gave back; without a limit, which is MLX's default
on Metal, the cache grows to tens of GB (mlx-lm#986).
"""

from __future__ import annotations

import mlx.core as mx

from gemmalocal.backends.mlx import device
from gemmalocal.backends.protocol import Memory


class BufferCache:
    """The limit of MLX's cache while a model is trained: that of `device` until a step was measured."""

    def __init__(self) -> None:
        self._usable = device.device_memory().usable
        mx.set_cache_limit(device.CACHE_LIMIT)
        mx.clear_cache()  # what reading the weights took
        self.forget()

    def forget(self) -> None:
        """What a step takes is not known, or no longer: the peak counts from now on."""
        self._moving = 0
        mx.reset_peak_memory()

    def follow(self, step: Memory) -> None:
        """After a step: keep what the largest so far took beside what is held, as far as a run may take memory."""
        self._moving = max(self._moving, step.peak - step.active)
        mx.set_cache_limit(max(device.CACHE_LIMIT, min(self._moving, self._usable - step.active)))
