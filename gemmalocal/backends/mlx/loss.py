"""Linear cross-entropy that never holds the logits of a batch.

With the head frozen (LoRA), the gradient with respect to the hidden states is known as soon as the loss is: both are
computed chunk by chunk, and only (tokens, width) survives of (tokens, 262144). Masked rows never reach the head.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from gemmalocal.backends.mlx import device, tiles

CHUNK = 128  # rows of logits alive at once; 128 MiB in float32 at Gemma 3's vocabulary


class Head:
    """The frozen output projection of a language model, tied or not, quantized or not, softcapped or not."""

    def __init__(self, model: Any) -> None:
        tied = "lm_head" not in model
        self._module = model.model.embed_tokens if tied else model.lm_head
        self._project = self._module.as_linear if tied else self._module
        self._softcap = getattr(model.args, "final_logit_softcapping", None)
        plain = not isinstance(self._module, (nn.QuantizedEmbedding, nn.QuantizedLinear))
        self._in_tiles = device.on_cpu() and plain and self._module.weight.dtype == mx.float32

    def logits(self, hidden: mx.array) -> mx.array:
        """(n, width) to (n, vocabulary)."""
        found: mx.array = self._project(hidden)
        return mx.tanh(found / self._softcap) * self._softcap if self._softcap else found

    def loss(self, hidden: mx.array, targets: mx.array, gradient: bool = True) -> tuple[float, mx.array | None]:
        """Summed cross-entropy of (n, width) against (n,) ids, and its gradient (n, width) in `hidden`'s dtype."""
        total, pieces = 0.0, []
        chunk = tiles.ROWS if self._in_tiles else CHUNK
        for start in range(0, hidden.shape[0], chunk):
            rows, ids = hidden[start : start + chunk], targets[start : start + chunk]
            if self._in_tiles:
                value, piece = tiles.loss(self._module.weight, rows, np.array(ids), self._softcap, gradient)
            else:
                value, piece = self._chunk(rows, ids, gradient)
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
