"""Linear cross-entropy that never holds the logits of a batch (as https://arxiv.org/abs/2411.09009 does in a kernel).

The gradient with respect to the hidden states is known as soon as the loss is: both are computed chunk by chunk, and
only (tokens, width) survives of (tokens, 262144). Masked rows never reach the head.

A row is asked for its log-probability at one id, or at k of them; any objective over these is a slope by each. With
s the softmax of a row's logits (and c' the derivative of their softcap), the gradient by its hidden state is

    sum_k slope_k (s c') W - sum_k slope_k c'_k W[id_k]         of slopes by -log s_k

whose first product is made with the loss and needs no slopes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from gemmalocal.backends.mlx import compute_path, tiled_cross_entropy
from gemmalocal.backends.mlx.recompute import order_after
from gemmalocal.backends.mlx.tiled_cross_entropy import Scored
from gemmalocal.backends.protocol import TokenIds
from gemmalocal.planning.memory import HEAD_ROWS
from gemmalocal.weights.tensors import Floats

# Of losses at ids (n, ...), in nats, and which `rows` they are: what is summed up, and the slopes of its sum by them.
Judge = Callable[..., tuple[mx.array, mx.array]]


class Loss(NamedTuple):
    """Cross-entropy at each id in nats, (n,) or (n, k), float32, and the gradients of its sum if they were asked for.

    That of the hidden states is (n, width), float32; that of the head's own weights, if they are trained,
    (vocabulary, width) in their dtype.
    """

    nats: Floats
    hidden_gradient: mx.array | None
    weight_gradient: mx.array | None

    @property
    def total(self) -> float:
        """The sum, in nats."""
        return float(self.nats.sum(dtype=np.float64))


class Head:
    """The output projection of a language model, tied or not, quantized or not, softcapped or not.

    If it is `trained` (a full fine-tune), its weights' gradient (vocabulary, width) is summed up too.
    """

    def __init__(self, language_model: Any, trained: bool = False) -> None:
        tied = "lm_head" not in language_model
        self.name = "model.embed_tokens.weight" if tied else "lm_head.weight"
        self.trained = trained
        self._module = language_model.model.embed_tokens if tied else language_model.lm_head
        self._project = self._module.as_linear if tied else self._module
        self._softcap = getattr(language_model.args, "final_logit_softcapping", None)
        quantized = isinstance(self._module, nn.QuantizedEmbedding | nn.QuantizedLinear)
        self._in_tiles = compute_path.current().tiled_head and not quantized and self._module.weight.dtype == mx.float32

    def tempered(self, temperature: float) -> Head:
        """Over hidden states that are divided by it: its logits are then those of this one, divided by it too.

        That is so of the softcap as well: c tanh(x / c) / t is c' tanh((x / t) / c') with c' = c / t.
        """
        head = copy.copy(self)
        head._softcap = self._softcap and self._softcap / temperature
        return head

    def logits(self, hidden: mx.array) -> mx.array:
        """(n, width) to (n, vocabulary), in the head's own type."""
        return self._capped(self._project(self._cast(hidden)))

    def _cast(self, hidden: mx.array) -> mx.array:
        """In the head's own type: for a float32 factor MLX would copy the whole head to float32."""
        return hidden.astype((self._module.scales if "scales" in self._module else self._module.weight).dtype)

    def _capped(self, logits: mx.array) -> mx.array:
        return mx.tanh(logits / self._softcap) * self._softcap if self._softcap else logits

    def summed_loss(self, hidden: mx.array, targets: mx.array, weights: mx.array) -> mx.array:
        """The loss of `loss` as a graph whose vjp costs nothing more; for a head that is not trained.

        `targets` are ids (n,) or (n, k); each counts as often as `weights`, alike and float32, say: 0 for one that
        fills up a shape.
        """
        return self.judged_loss(hidden, targets, lambda nats, rows: (nats * weights[rows], weights[rows]))[0]

    def judged_loss(self, hidden: mx.array, targets: mx.array, judge: Judge) -> tuple[mx.array, mx.array]:
        """The sum of what `judge` makes of the loss at each id, as such a graph; and these losses, as the ids."""

        @mx.custom_function
        def forward(hidden: mx.array) -> tuple[mx.array, mx.array, mx.array]:
            totals: list[mx.array] = []
            slopes: list[mx.array] = []
            every: list[mx.array] = []
            for start in range(0, hidden.shape[0], HEAD_ROWS):
                rows = slice(start, start + HEAD_ROWS)
                # A chunk waits for slope and total of the one before it: else the logits of all are there at once.
                (chunk,) = order_after([hidden[rows]], [*slopes[-1:], *totals[-1:]])
                nats, losses, slope = self._slope(chunk, targets[rows], partial(judge, rows=rows))
                totals.append(mx.sum(losses))
                slopes.append(slope)
                every.append(nats)
            return sum(totals[1:], totals[0]), _joined(slopes), _joined(every)

        @forward.vjp
        def backward(primal: mx.array, cotangents: Any, outputs: Any) -> mx.array:
            return outputs[1] * cotangents[0].astype(primal.dtype)

        total, _, nats = cast("tuple[mx.array, mx.array, mx.array]", forward(hidden))
        return total, nats

    def _slope(
        self, hidden: mx.array, targets: mx.array, judge: Callable[[mx.array], tuple[mx.array, mx.array]]
    ) -> tuple[mx.array, mx.array, mx.array]:
        """The loss at each id, what `judge` makes of these, and the gradient (n, width) of that, in `hidden`'s dtype.

        That is softmax less one, times the head's weights. The loss at each id is as `targets`, (n,) or (n, k).
        """
        logits = self._project(self._cast(hidden))
        capped = self._capped(logits.astype(mx.float32))
        log_sums = mx.logsumexp(capped, axis=-1, keepdims=True)
        ids = targets.reshape(len(targets), -1)
        nats = (log_sums - mx.take_along_axis(capped, ids, axis=-1)).reshape(targets.shape)
        losses, weights = judge(nats)
        softmax = mx.exp(capped - log_sums)
        if targets.ndim == 1:
            slope = (softmax - (mx.arange(capped.shape[-1]) == ids)) * weights[:, None]
        else:  # an id may stand twice in a row
            slope = softmax * weights.sum(axis=1, keepdims=True)
            slope = slope.at[mx.arange(len(ids))[:, None], ids].add(-weights)
        if self._softcap:  # c tanh(x / c), whose derivative is 1 - tanh^2
            slope = slope * (1 - mx.square(capped / self._softcap))
        _, (gradient,) = mx.vjp(self._project, [self._cast(hidden)], [slope.astype(logits.dtype)])
        return nats, losses, gradient.astype(hidden.dtype)

    def nats(self, hidden: mx.array, targets: mx.array) -> mx.array:
        """The loss at each id, float32, as a graph that holds the logits of a chunk at a time."""
        chunks: list[mx.array] = []
        for start in range(0, hidden.shape[0], HEAD_ROWS):
            rows = slice(start, start + HEAD_ROWS)
            (chunk,) = order_after([hidden[rows]], chunks[-1:])
            chunks.append(_cross_entropy(self.logits(chunk), targets[rows]))
        return mx.concatenate(chunks)

    def loss(self, hidden: mx.array, targets: mx.array, gradient: bool = True, weights: Floats | None = None) -> Loss:
        """The loss of `hidden` (n, width) against ids, `targets` (n,) or (n, k).

        The gradient is that of the sum by `weights`, shaped as the ids, each 1 if they are not given.
        """
        nats, hidden_gradients = [], []
        weight_gradient: mx.array | None = None
        tiled = self._in_tiles and not (self.trained and gradient)
        counted = np.ones(targets.shape, np.float32) if weights is None else weights
        for rows in _chunks(len(targets), tiled):
            chunk = self._chunk(hidden[rows], targets[rows], counted[rows] if gradient else None, tiled)
            nats.append(chunk.nats)
            if chunk.hidden_gradient is not None:
                hidden_gradients.append(chunk.hidden_gradient)
            if chunk.weight_gradient is not None:
                # (vocabulary, width) is large: added at once, so that there are never more than two of them.
                more = chunk.weight_gradient
                weight_gradient = more if weight_gradient is None else weight_gradient + more
                mx.eval(weight_gradient)
        return Loss(np.concatenate(nats), mx.concatenate(hidden_gradients) if gradient else None, weight_gradient)

    def _chunk(self, hidden: mx.array, targets: mx.array, weights: Floats | None, tiled: bool) -> Loss:
        """`loss` of so few rows that their logits may be in memory; without weights no gradient."""
        if tiled:
            ids, scored = self._scored(hidden, targets, weights is not None)
            slopes = None if weights is None else weights.reshape(ids.shape)
            gradient = None if slopes is None else scored.gradient(self._module.weight, ids, slopes)
            return Loss(scored.nats.reshape(targets.shape), gradient, None)
        if weights is None:
            return Loss(np.array(_cross_entropy(self.logits(hidden), targets)), None, None)
        if self.trained:
            return self._trained_chunk(hidden, targets, mx.array(weights))
        counted = mx.array(weights)
        nats, _, hidden_gradient = self._slope(hidden, targets, lambda nats: (nats * counted, counted))
        mx.eval(nats, hidden_gradient)
        return Loss(np.array(nats), hidden_gradient, None)

    def _scored(self, hidden: mx.array, targets: mx.array, gradient: bool) -> tuple[TokenIds, Scored]:
        """The ids (n, k), and what the tiles say of them."""
        ids = np.array(targets).reshape(len(targets), -1)
        return ids, tiled_cross_entropy.score(self._module.weight, hidden, ids, self._softcap, gradient)

    def _trained_chunk(self, hidden: mx.array, targets: mx.array, weights: mx.array) -> Loss:
        def summed(hidden: mx.array, weight: mx.array) -> tuple[mx.array, mx.array]:
            nats = _cross_entropy(self._capped(hidden.astype(weight.dtype) @ weight.T), targets)
            return (nats * weights).sum(), nats

        (_, nats), gradients = mx.value_and_grad(summed, argnums=[0, 1])(hidden, self._module.weight)
        mx.eval(nats, gradients)
        return Loss(np.array(nats), *gradients)

    def judged(self, hidden: mx.array, targets: mx.array, judge: Callable[[Floats], Floats]) -> Loss:
        """As `loss`, by the weights that `judge` makes of all losses, shaped as the ids both."""
        if self._in_tiles and not self.trained:
            return self._judged_in_tiles(hidden, targets, judge)
        if targets.ndim == 1 and not self.trained:  # a row's gradient is its one weight's multiple
            loss = self.loss(hidden, targets)
            assert loss.hidden_gradient is not None
            weights = mx.array(judge(loss.nats))[:, None].astype(loss.hidden_gradient.dtype)
            return loss._replace(hidden_gradient=loss.hidden_gradient * weights)
        # Rows of several ids, and the head's own gradient, which is a sum over rows, must be weighted first.
        return self.loss(hidden, targets, weights=judge(self.loss(hidden, targets, gradient=False).nats))

    def _judged_in_tiles(self, hidden: mx.array, targets: mx.array, judge: Callable[[Floats], Floats]) -> Loss:
        """`judged` with one look at the head: what its gradient is made of waits for the weights."""
        chunks = _chunks(len(targets), tiled=True)
        scored = [self._scored(hidden[rows], targets[rows], gradient=True) for rows in chunks]
        nats = np.concatenate([of_chunk.nats for _, of_chunk in scored]).reshape(targets.shape)
        weights = judge(nats).reshape(len(targets), -1)
        gradients = [
            of_chunk.gradient(self._module.weight, ids, weights[rows])
            for rows, (ids, of_chunk) in zip(chunks, scored, strict=True)
        ]
        return Loss(nats, mx.concatenate(gradients), None)


def _joined(chunks: list[mx.array]) -> mx.array:
    return chunks[0] if len(chunks) == 1 else mx.concatenate(chunks)


def _chunks(count: int, tiled: bool) -> list[slice]:
    """So many rows, by those that are computed at once."""
    size = tiled_cross_entropy.ROWS if tiled else HEAD_ROWS
    return [slice(start, start + size) for start in range(0, count, size)]


def _cross_entropy(logits: mx.array, targets: mx.array) -> mx.array:
    """At each of the ids, (n,) or (n, k), float32."""
    scores = logits.astype(mx.float32)
    at_ids = mx.take_along_axis(scores, targets.reshape(len(targets), -1), axis=-1)
    return (mx.logsumexp(scores, axis=-1, keepdims=True) - at_ids).reshape(targets.shape)
