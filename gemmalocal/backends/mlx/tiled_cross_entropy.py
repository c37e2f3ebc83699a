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
    weight: mx.array, hidden: mx.array, targets: NDArray[np.int32], softcap: float | None, gradient: bool
) -> tuple[Floats, mx.array | None]:
    """Cross-entropy (n,) of `hidden @ weight.T` against `targets` (n,), and its sum's gradient (n, width), float32.

    `weight` is (vocabulary, width) and `hidden` (n, width), both float32; n should be at most `ROWS`.
    """
    softmax = _OnlineSoftmax(targets, softcap)
    weighted = mx.zeros(hidden.shape)  # of the tiles so far: exp(logit - highest) times the weights
    with ThreadPoolExecutor(device.blas_threads()) as threads:
        for start in range(0, weight.shape[0], TILE):
            tile = weight[start : start + TILE]
            logits = hidden @ tile.T
            mx.eval(logits)
            softmax.add_tile(np.array(logits, copy=False), start, threads)
            if gradient:
                # `logits` is MLX's own memory, in which numpy has left their exponentials.
                weighted = mx.addmm(weighted * mx.array(softmax.rescale)[:, None], logits, tile)
                mx.eval(weighted)
    nats = softmax.highest + np.log(softmax.sums) - softmax.target_logits
    if not gradient:
        return nats, None
    # The softmax's mean of the weights, minus the target's weights; both with the softcap's derivative.
    target_weights = weight[mx.array(targets)] * mx.array(softmax.target_derivatives)[:, None]
    hidden_gradient = weighted / mx.array(softmax.sums)[:, None] - target_weights
    mx.eval(hidden_gradient)
    return nats, hidden_gradient


class _OnlineSoftmax:
    """Of n rows over the tiles seen so far; every attribute is (n,) float32."""

    def __init__(self, targets: NDArray[np.int32], softcap: float | None) -> None:
        self._targets, self._softcap = targets, softcap
        self.highest = np.full(len(targets), -np.inf, np.float32)
        self.sums = np.zeros(len(targets), np.float32)  # of exp(logit - highest)
        self.target_logits = np.zeros(len(targets), np.float32)
        self.target_derivatives = np.ones(len(targets), np.float32)  # of the softcap, at the targets' logits
        self.rescale = np.ones(len(targets), np.float32)  # what the last tile multiplied the sums before it by

    def add_tile(self, logits: Floats, start: int, threads: ThreadPoolExecutor) -> None:
        """Take a tile (n, columns) whose first column is `start`; leave in it what `hidden`'s gradient is a sum over.

        That is exp(logit - highest) times the softcap's derivative.
        """
        count = max(1, BLOCK // logits.shape[1])
        blocks = [slice(first, first + count) for first in range(0, len(logits), count)]
        list(threads.map(lambda rows: self._add_block(logits[rows], start, rows), blocks))

    def _add_block(self, logits: Floats, start: int, rows: slice) -> None:
        """`add_tile` of some of the rows, in place: a block stays in the cache of the processor that works on it."""
        derivative = None
        if self._softcap:  # c tanh(x / c), whose derivative is 1 - tanh^2
            np.tanh(np.divide(logits, self._softcap, out=logits), out=logits)
            derivative = 1 - logits * logits
            logits *= self._softcap
        columns = self._targets[rows] - start
        inside = np.flatnonzero((columns >= 0) & (columns < logits.shape[1]))  # rows whose target is in this tile
        self.target_logits[rows][inside] = logits[inside, columns[inside]]
        if derivative is not None:
            self.target_derivatives[rows][inside] = derivative[inside, columns[inside]]
        # Sums so far were of exp(logit - the highest so far): they are brought to the new one.
        highest = np.maximum(self.highest[rows], logits.max(axis=1))
        rescale = np.exp(self.highest[rows] - highest)
        np.exp(np.subtract(logits, highest[:, None], out=logits), out=logits)
        self.sums[rows] = self.sums[rows] * rescale + logits.sum(axis=1)
        self.highest[rows], self.rescale[rows] = highest, rescale
        if derivative is not None:
            logits *= derivative
