"""Micro-batches side by side on the CPU, where MLX gives elementwise work (half of a step's time) a single thread.

Each of MLX's streams has its share of the BLAS threads, and computes what it would compute alone. Metal has one, the
default stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import mlx.core as mx

from gemmalocal.backends.mlx import device

Graph = TypeVar("Graph")


class Streams:
    """As many streams as there are micro-batches at once."""

    def __init__(self, count: int) -> None:
        self._streams = [mx.default_stream(mx.default_device())]
        self._streams += [mx.new_stream(mx.default_device()) for _ in range(count - 1)]

    def map(self, build: Callable[..., Graph], *arguments: Sequence[Any]) -> list[Graph]:
        """As `map` does, each call on a stream of its own; nothing is computed yet. No more calls than streams."""
        graphs = []
        for stream, one_call in zip(self._streams, zip(*arguments, strict=True), strict=False):
            with mx.stream(stream):
                graphs.append(build(*one_call))
        return graphs

    def evaluate(self, *graphs: Any) -> None:
        """Compute the graphs (arrays, or trees of them) of several streams at the same time."""
        with _shared_blas(len(graphs)):
            mx.eval(*graphs)


@contextmanager
def _shared_blas(users: int) -> Iterator[None]:
    threads = device.blas_threads()
    device.blas_threads(max(1, threads // users))
    try:
        yield
    finally:
        device.blas_threads(threads)
