"""Micro-batches side by side on the CPU, where MLX gives elementwise work (half of a step's time) a single thread.

A lane is a stream of MLX's with its share of the BLAS threads; it computes what it would compute alone. Metal has
one lane, the default stream.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import mlx.core as mx

from gemmalocal.backends.mlx import device

R = TypeVar("R")


class Lanes:
    """As many streams as there are micro-batches at once."""

    def __init__(self, count: int) -> None:
        # MLX queues the work of one evaluation depth first, lane after lane, once the graph is wider than this; breadth
        # first, the lanes get their work in turns. It is read at the first evaluation, so lanes come before weights.
        os.environ.setdefault("MLX_BFS_MAX_WIDTH", "1000000")
        self._streams = [mx.default_stream(mx.default_device())]
        self._streams += [mx.new_stream(mx.default_device()) for _ in range(count - 1)]

    def each(self, build: Callable[..., R], *parts: Sequence[Any]) -> list[R]:
        """Like `map`: `build` a graph of each part in a lane of its own; there may be no more parts than lanes."""
        built = []
        for stream, arguments in zip(self._streams, zip(*parts, strict=True), strict=False):
            with mx.stream(stream):
                built.append(build(*arguments))
        return built

    def evaluate(self, *trees: Any) -> None:
        """Evaluate the trees of several lanes at the same time."""
        with _shared_blas(len(trees)):
            mx.eval(*trees)


@contextmanager
def _shared_blas(users: int) -> Iterator[None]:
    threads = device.blas_threads()
    device.blas_threads(max(1, threads // users))
    try:
        yield
    finally:
        device.blas_threads(threads)
