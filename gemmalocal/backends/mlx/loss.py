"""Linear cross-entropy that never holds the logits of a batch.

The gradient with respect to the hidden states is known as soon as the loss is: both are computed chunk by chunk, and
only (tokens, width) survives of (tokens, 262144). Masked rows never reach the head.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from gemmalocal.backends.mlx import device, tiled_cross_entropy
from gemmalocal.planning.memory import HEAD_ROWS


class Loss(NamedTuple):
    """Summed cross-entropy, and its gradients: of the hidden states (n, width), and of the head's own weights."""

    total: float
    hidden: mx.array | None
    weight: mx.array | None


class Head:
    """The output projection of a language model, tied or not, quantized or not, softcapped or not.

    If it is `trained` (a full fine-tune), its weights' gradient (vocabulary, width) is summed up too.
    """

    def __init__(self, model: Any, trained: bool = False) -> None:
        tied = "lm_head" not in model
        self.name = "model.embed_tokens.weight" if tied else "lm_head.weight"
        self._trained = trained
        self._module = model.model.embed_tokens if tied else model.lm_head
        self._project = self._module.as_linear if tied else self._module
        self._softcap = getattr(model.args, "final_logit_softcapping", None)
        plain = not isinstance(self._module, (nn.QuantizedEmbedding, nn.QuantizedLinear))
        self._in_tiles = device.on_cpu() and plain and self._module.weight.dtype == mx.float32

    def logits(self, hidden: mx.array) -> mx.array:
        """(n, width) to (n, vocabulary)."""
        return self._capped(self._project(hidden))

    def _capped(self, logits: mx.array) -> mx.array:
        return mx.tanh(logits / self._softcap) * self._softcap if self._softcap else logits

    def loss(self, hidden: mx.array, targets: mx.array, gradient: bool = True) -> Loss:
        """The loss of (n, width) against (n,) ids; its gradients are None unless asked for, and float32."""
        total, pieces, weight = 0.0, [], None
        tiled = self._in_tiles and not (self._trained and gradient)
        chunk = tiled_cross_entropy.ROWS if tiled else HEAD_ROWS
        for start in range(0, hidden.shape[0], chunk):
            rows, ids = hidden[start : start + chunk], targets[start : start + chunk]
            if tiled:
                value, piece = tiled_cross_entropy.loss(
                    self._module.weight, rows, np.array(ids), self._softcap, gradient
                )
            elif self._trained and gradient:
                value, piece, more = self._trained_chunk(rows, ids)
                weight = more if weight is None else weight + more
                mx.eval(weight)
            else:
                value, piece = self._chunk(rows, ids, gradient)
            total += value
            if piece is not None:
                pieces.append(piece)
        return Loss(total, mx.concatenate(pieces) if pieces else None, weight)

    def _chunk(self, rows: mx.array, ids: mx.array, gradient: bool) -> tuple[float, mx.array | None]:
        def summed(rows: mx.array) -> mx.array:
            return _summed(self.logits(rows), ids)

        if not gradient:
            return float(np.array(summed(rows))), None
        value, piece = mx.value_and_grad(summed)(rows)
        mx.eval(value, piece)
        return float(np.array(value)), piece

    def _trained_chunk(self, rows: mx.array, ids: mx.array) -> tuple[float, mx.array, mx.array]:
        def summed(rows: mx.array, weight: mx.array) -> mx.array:
            return _summed(self._capped(rows @ weight.T), ids)

        value, (piece, weight) = mx.value_and_grad(summed, argnums=[0, 1])(rows, self._module.weight)
        mx.eval(value, piece, weight)
        return float(np.array(value)), piece, weight


def _summed(logits: mx.array, ids: mx.array) -> mx.array:
    return nn.losses.cross_entropy(logits.astype(mx.float32), ids, reduction="sum")
