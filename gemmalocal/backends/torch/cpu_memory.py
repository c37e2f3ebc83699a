"""The memory of a process that computes on the CPU, where torch's allocator counts nothing."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from pathlib import Path

import psutil
import torch
from torch import Tensor

from gemmalocal.backends.protocol import Memory

MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h
CHUNK = 1 << 22  # numbers that are moved at a time
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Resident:
    """Resident memory in bytes beyond what was there at the start (Python, the libraries), and its peak since a look.

    The peak is the kernel's. Where it cannot be reset (macOS, some containers), the memory of this moment stands for
    it, which is too low by what a step has freed again.
    """

    def __init__(self) -> None:
        self._start = 0
        self._start = self().active

    def __call__(self) -> Memory:
        """The peak since the last call, and what is held now, in bytes; a call begins a new peak."""
        active: int = psutil.Process().memory_info().rss
        peak = max(_peak(), active) - self._start
        return Memory(max(0, peak), max(0, active - self._start), 0)


def free_at_once() -> None:
    """Let the C library (glibc) give every freed array back at once.

    Left alone, its heap keeps a fifth more than is in use, with checkpointing twice that; this costs 5 % of the time.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt:
            mallopt(MMAP_THRESHOLD, 1 << 20)


def limit_primitive_caches() -> None:
    """Before the first product: keep what was made for the last 64 shapes of products in bfloat16, not for 1,024.

    Rows come in any length: kept all, it took 15 MB more with every step. This costs no time.
    """
    for variable in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):  # oneDNN's and torch's own
        os.environ.setdefault(variable, "64")


def release() -> None:
    """Give freed heap back to the system, where the C library can."""
    if sys.platform == "linux":
        malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
        if malloc_trim:
            malloc_trim(0)


def move(weight: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A weight elsewhere, for good: what it was read from, on the CPU, is given back to the system and lost.

    A file's weights are mapped, and pages that were read would count until the last weight of the file is gone: a
    float32 file took 3.5 times the memory of the bfloat16 weights that were made of it.
    """
    # Chunk by chunk: pages are given back while the rest is still to be read, so the two are never whole side by side.
    target = torch.empty(weight.shape, device=device, dtype=dtype)
    for source, destination in zip(
        weight.contiguous().view(-1).split(CHUNK), target.view(-1).split(CHUNK), strict=True
    ):
        destination.copy_(source)
        if source.is_cpu:
            _discard_pages(source.data_ptr(), source.nbytes)
    return target


def _discard_pages(start: int, size: int) -> None:
    """Give the whole pages in `size` bytes of memory from the address `start` back to the system, unwritten."""
    madvise = getattr(ctypes.CDLL(None), "madvise", None)
    first_page = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE  # neighbours share the pages at both ends
    page_bytes = (start + size - first_page) // mmap.PAGESIZE * mmap.PAGESIZE
    if madvise and page_bytes > 0:
        madvise(ctypes.c_void_p(first_page), ctypes.c_size_t(page_bytes), mmap.MADV_DONTNEED)


def _peak() -> int:
    """The highest since the last call, in bytes; 0 where the kernel does not tell."""
    try:
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        RESET.write_text("5")
    except (OSError, StopIteration):
        return 0
    return int(line.split()[1]) * 1024
