"""Linear cross-entropy that never holds the logits of a batch (as https://arxiv.org/abs/2411.09009 does in a kernel).

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
    """Summed cross-entropy in nats, and its gradients if they were asked for.

    That of the hidden states is (n, width), float32; that of the head's own weights, if they are trained,
    (vocabulary, width) in their dtype.
    """

    total: float
    hidden_gradient: mx.array | None
    weight_gradient: mx.array | None


class Head:
    """The output projection of a language model, tied or not, quantized or not, softcapped or not.

    If it is `trained` (a full fine-tune), its weights' gradient (vocabulary, width) is summed up too.
    """

    def __init__(self, language_model: Any, trained: bool = False) -> None:
        tied = "lm_head" not in language_model
        self.name = "model.embed_tokens.weight" if tied else "lm_head.weight"
        self._trained = trained
        self._module = language_model.model.embed_tokens if tied else language_model.lm_head
        self._project = self._module.as_linear if tied else self._module
        self._softcap = getattr(language_model.args, "final_logit_softcapping", None)
        quantized = isinstance(self._module, nn.QuantizedEmbedding | nn.QuantizedLinear)
        self._in_tiles = device.on_cpu() and not quantized and self._module.weight.dtype == mx.float32

    def logits(self, hidden: mx.array) -> mx.array:
        """(n, width) to (n, vocabulary)."""
        return self._capped(self._project(hidden))

    def _capped(self, logits: mx.array) -> mx.array:
        return mx.tanh(logits / self._softcap) * self._softcap if self._softcap else logits

    def loss(self, hidden: mx.array, targets: mx.array, gradient: bool = True) -> Loss:
        """The loss of `hidden` (n, width) against the ids `targets` (n,)."""
        total, hidden_gradients = 0.0, []
        weight_gradient: mx.array | None = None
        tiled = self._in_tiles and not (self._trained and gradient)
        rows = tiled_cross_entropy.ROWS if tiled else HEAD_ROWS
        for start in range(0, hidden.shape[0], rows):
            chunk = self._chunk(hidden[start : start + rows], targets[start : start + rows], gradient, tiled)
            total += chunk.total
            if chunk.hidden_gradient is not None:
                hidden_gradients.append(chunk.hidden_gradient)
            if chunk.weight_gradient is not None:
                # (vocabulary, width) is large: added at once, so that there are never more than two of them.
                more = chunk.weight_gradient
                weight_gradient = more if weight_gradient is None else weight_gradient + more
                mx.eval(weight_gradient)
        return Loss(total, mx.concatenate(hidden_gradients) if hidden_gradients else None, weight_gradient)

    def _chunk(self, hidden: mx.array, targets: mx.array, gradient: bool, tiled: bool) -> Loss:
        """`loss` of so few rows that their logits may be in memory."""
        if tiled:
            weight, ids = self._module.weight, np.array(targets)
            return Loss(*tiled_cross_entropy.loss(weight, hidden, ids, self._softcap, gradient), None)
        if gradient and self._trained:
            return self._trained_chunk(hidden, targets)

        def summed(hidden: mx.array) -> mx.array:
            return _cross_entropy(self.logits(hidden), targets)

        if not gradient:
            return Loss(float(np.array(summed(hidden))), None, None)
        total, hidden_gradient = mx.value_and_grad(summed)(hidden)
        mx.eval(total, hidden_gradient)
        return Loss(float(np.array(total)), hidden_gradient, None)

    def _trained_chunk(self, hidden: mx.array, targets: mx.array) -> Loss:
        def summed(hidden: mx.array, weight: mx.array) -> mx.array:
            return _cross_entropy(self._capped(hidden @ weight.T), targets)

        total, gradients = mx.value_and_grad(summed, argnums=[0, 1])(hidden, self._module.weight)
        mx.eval(total, gradients)
        return Loss(float(np.array(total)), *gradients)


def _cross_entropy(logits: mx.array, targets: mx.array) -> mx.array:
    return nn.losses.cross_entropy(logits.astype(mx.float32), targets, reduction="sum")
