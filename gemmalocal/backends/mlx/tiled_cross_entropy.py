"""Linear cross-entropy for MLX's CPU build, by tiles of the vocabulary.

MLX's CPU `exp` takes 13 ns an element on one thread, numpy's below 1. So a tile of logits becomes its softmax in
place, in numpy, while it is in the processor's cache; the softmax is kept up to date from tile to tile
(https://arxiv.org/abs/1805.02867), as is the product with the tile's weights that the gradient needs.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import mlx.core as mx
import numpy as np

from gemmalocal.backends.mlx import device
from gemmalocal.backends.protocol import TokenIds
from gemmalocal.weights.tensors import Floats

TILE = 16384  # columns of the vocabulary at once
ROWS = 512  # rows at once; with TILE, 32 MiB of logits
BLOCK = 1 << 18  # elements that a thread takes: 1 MiB, a processor's second cache


class Scored(NamedTuple):
    """Of n rows at k ids each: `nats` (n, k), float32, and what a gradient by the hidden states is made of.

    `mean` (n, width) are the head's weights averaged by softmax, None if not asked for; `derivatives` (n, k) the
    softcap's at these ids.
    """

    nats: Floats
    mean: mx.array | None
    derivatives: Floats

    def gradient(self, weight: mx.array, ids: TokenIds, slopes: Floats) -> mx.array:
        """(n, width), float32, of a loss whose slopes by `nats` are (n, k); `ids` (n, k) as they were asked for."""
        assert self.mean is not None
        gradient = self.mean * mx.array(slopes.sum(axis=1, keepdims=True, dtype=np.float32))
        by_id = mx.array(slopes * self.derivatives)
        for column in range(ids.shape[1]):  # one by one: the weights of all ids would be (n, k, width)
            gradient = gradient - weight[mx.array(ids[:, column])] * by_id[:, column, None]
            mx.eval(gradient)
        return gradient


def score(weight: mx.array, hidden: mx.array, ids: TokenIds, softcap: float | None, gradient: bool) -> Scored:
    """Cross-entropy of `hidden @ weight.T` against each of `ids` (n, k).

    `weight` is (vocabulary, width) and `hidden` (n, width), both float32; n should be at most `ROWS`.
    """
    softmax = _OnlineSoftmax(ids, softcap)
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
    nats = (softmax.highest + np.log(softmax.sums))[:, None] - softmax.logits
    mean = weighted / mx.array(softmax.sums)[:, None] if gradient else None
    return Scored(nats, mean, softmax.derivatives)


class _OnlineSoftmax:
    """Of n rows over the tiles seen so far, and the logits at `ids` (n, k); every attribute is float32."""

    def __init__(self, ids: TokenIds, softcap: float | None) -> None:
        self._ids, self._softcap = ids, softcap
        self.highest = np.full(len(ids), -np.inf, np.float32)  # (n,)
        self.sums = np.zeros(len(ids), np.float32)  # (n,), of exp(logit - highest)
        self.rescale = np.ones(len(ids), np.float32)  # (n,), what the last tile multiplied the sums before it by
        self.logits = np.zeros(ids.shape, np.float32)  # (n, k)
        self.derivatives = np.ones(ids.shape, np.float32)  # (n, k), of the softcap where it gave these

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
        columns = self._ids[rows] - start
        inside = np.nonzero((columns >= 0) & (columns < logits.shape[1]))  # of the ids, those in this tile
        places = inside[0], columns[inside]
        self.logits[rows][inside] = logits[places]
        if derivative is not None:
            self.derivatives[rows][inside] = derivative[places]
        # Sums so far were of exp(logit - the highest so far): they are brought to the new one.
        highest = np.maximum(self.highest[rows], logits.max(axis=1))
        rescale = np.exp(self.highest[rows] - highest)
        np.exp(np.subtract(logits, highest[:, None], out=logits), out=logits)
        self.sums[rows] = self.sums[rows] * rescale + logits.sum(axis=1)
        self.highest[rows], self.rescale[rows] = highest, rescale
        if derivative is not None:
            logits *= derivative
