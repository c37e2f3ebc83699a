"""Linear cross-entropy that never holds the logits of a batch.

With the head frozen (LoRA), the gradient with respect to the hidden states is known as soon as the loss is: both are
computed chunk by chunk, and only (tokens, width) survives of (tokens, 262144). Masked rows never reach the head.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.mlx import device

CHUNK = 128  # rows of logits alive at once; 128 MiB in float32 at Gemma 3's vocabulary


class Head:
    """The frozen output projection of a language model, tied or not, quantized or not, softcapped or not."""

    def __init__(self, model: Any) -> None:
        tied = "lm_head" not in model
        self._module = model.model.embed_tokens if tied else model.lm_head
        self._project = self._module.as_linear if tied else self._module
        self._softcap = getattr(model.args, "final_logit_softcapping", None)
        plain = not isinstance(self._module, (nn.QuantizedEmbedding, nn.QuantizedLinear))
        self._on_host = device.on_cpu() and plain and not self._softcap and self._module.weight.dtype == mx.float32

    def logits(self, hidden: mx.array) -> mx.array:
        """(n, width) to (n, vocabulary)."""
        found: mx.array = self._project(hidden)
        return mx.tanh(found / self._softcap) * self._softcap if self._softcap else found

    def loss(self, hidden: mx.array, targets: mx.array, gradient: bool = True) -> tuple[float, mx.array | None]:
        """Summed cross-entropy of (n, width) against (n,) ids, and its gradient (n, width) in `hidden`'s dtype."""
        total, pieces = 0.0, []
        for start in range(0, hidden.shape[0], CHUNK):
            rows, ids = hidden[start : start + CHUNK], targets[start : start + CHUNK]
            value, piece = self._host_chunk(rows, ids, gradient) if self._on_host else self._chunk(rows, ids, gradient)
            total += value
            if piece is not None:
                pieces.append(piece)
        return total, mx.concatenate(pieces) if pieces else None

    def _chunk(self, rows: mx.array, ids: mx.array, gradient: bool) -> tuple[float, mx.array | None]:
        def summed(rows: mx.array) -> mx.array:
            logits = self.logits(rows).astype(mx.float32)
            return nn.losses.cross_entropy(logits, ids, reduction="sum")

        if not gradient:
            return float(np.array(summed(rows))), None
        value, piece = mx.value_and_grad(summed)(rows)
        mx.eval(value, piece)
        return float(np.array(value)), piece

    def _host_chunk(self, rows: mx.array, ids: mx.array, gradient: bool) -> tuple[float, mx.array | None]:
        # MLX's CPU `exp` takes 13 ns an element on one thread, numpy's below 1: the softmax is done in place, on the
        # same memory, row by row while a row is in the processor's cache.
        logits = rows @ self._module.weight.T
        mx.eval(logits)
        loss, sums = softmax_in_place(np.array(logits, copy=False), np.array(ids))
        if not gradient:
            return loss, None
        piece = (logits @ self._module.weight) / mx.array(sums)[:, None] - self._module.weight[ids]
        mx.eval(piece)
        return loss, piece


def softmax_in_place(logits: NDArray[np.float32], ids: NDArray[np.int32]) -> tuple[float, NDArray[np.float32]]:
    """Turn each row (n, vocabulary) into exp(row - max); return the summed cross-entropy and the rows' sums (n,)."""
    sums = np.empty(len(logits), np.float32)
    total = 0.0
    for number, row in enumerate(logits):
        np.subtract(row, row.max(), out=row)
        target = float(row[ids[number]])
        np.exp(row, out=row)
        sums[number] = row.sum()
        total += float(np.log(sums[number])) - target
    return total, sums
