"""Linear cross-entropy for MLX's CPU build, by tiles of the vocabulary.

MLX's CPU `exp` takes 13 ns an element on one thread, numpy's below 1. So a tile of logits becomes its softmax in
place, in numpy, while it is in the processor's cache; the softmax is kept up to date from tile to tile
(https://arxiv.org/abs/1805.02867), as is the product with the tile's weights that the gradient needs.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.mlx import device
from gemmalocal.weights.tensors import Floats

TILE = 16384  # columns of the vocabulary at once
ROWS = 512  # rows at once; with TILE, 32 MiB of logits
BLOCK = 1 << 18  # elements that a thread takes: 1 MiB, a processor's second cache


def loss(
    weight: mx.array, hidden: mx.array, ids: NDArray[np.int32], softcap: float | None, gradient: bool
) -> tuple[float, mx.array | None]:
    """Summed cross-entropy of `hidden @ weight.T` against `ids` (n,), and its gradient (n, width), float32.

    `weight` is (vocabulary, width) and `hidden` (n, width), both float32; n should be at most `ROWS`.
    """
    softmax = _Softmax(ids, softcap)
    weighted = mx.zeros(hidden.shape)
    with ThreadPoolExecutor(device.blas_threads()) as threads:
        for start in range(0, weight.shape[0], TILE):
            tile = weight[start : start + TILE]
            logits = hidden @ tile.T
            mx.eval(logits)
            softmax.take(np.array(logits, copy=False), start, threads)
            if gradient:
                weighted = mx.addmm(weighted * mx.array(softmax.shrink)[:, None], logits, tile)
                mx.eval(weighted)
    total = float((softmax.highest + np.log(softmax.sums) - softmax.wanted).sum(dtype=np.float64))
    if not gradient:
        return total, None
    slope = weighted / mx.array(softmax.sums)[:, None] - weight[mx.array(ids)] * mx.array(softmax.bend)[:, None]
    mx.eval(slope)
    return total, slope


class _Softmax:
    """Of n rows over the tiles seen so far; every attribute is (n,) float32."""

    def __init__(self, ids: NDArray[np.int32], softcap: float | None) -> None:
        self._ids, self._softcap = ids, softcap
        self.highest = np.full(len(ids), -np.inf, np.float32)
        self.sums = np.zeros(len(ids), np.float32)  # of exp(logit - highest)
        self.wanted = np.zeros(len(ids), np.float32)  # the logit of ids
        self.bend = np.ones(len(ids), np.float32)  # the softcap's derivative there
        self.shrink = np.ones(len(ids), np.float32)  # what the last tile made of sums before it, as a factor

    def take(self, logits: Floats, start: int, threads: ThreadPoolExecutor) -> None:
        """Take a tile (n, tile) whose first column is `start`; leave in it what `hidden`'s gradient is a sum over."""
        rows = max(1, BLOCK // logits.shape[1])
        blocks = [slice(first, first + rows) for first in range(0, len(logits), rows)]
        list(threads.map(lambda block: self._block(logits[block], start, block), blocks))

    def _block(self, logits: Floats, start: int, rows: slice) -> None:
        slope = None
        if self._softcap:
            np.tanh(np.divide(logits, self._softcap, out=logits), out=logits)
            slope = 1 - logits * logits
            logits *= self._softcap
        columns = self._ids[rows] - start
        inside = np.flatnonzero((columns >= 0) & (columns < logits.shape[1]))
        self.wanted[rows][inside] = logits[inside, columns[inside]]
        if slope is not None:
            self.bend[rows][inside] = slope[inside, columns[inside]]
        highest = np.maximum(self.highest[rows], logits.max(axis=1))
        shrink = np.exp(self.highest[rows] - highest)
        np.exp(np.subtract(logits, highest[:, None], out=logits), out=logits)
        self.sums[rows] = self.sums[rows] * shrink + logits.sum(axis=1)
        self.highest[rows], self.shrink[rows] = highest, shrink
        if slope is not None:
            logits *= slope
