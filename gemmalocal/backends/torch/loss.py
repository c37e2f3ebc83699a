"""Linear cross-entropy that never holds the logits of a batch.

The gradient with respect to the hidden states is known as soon as the loss is. The vocabulary is taken in tiles; the
softmax is kept up to date from tile to tile (https://arxiv.org/abs/1805.02867), as is the product of the tile's
probabilities with its weights, of which the gradient is made. Masked rows never reach the head.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from gemmalocal.backends.torch.frozen_linear import product
from gemmalocal.planning.memory import HEAD_ROWS

TILE, ROWS = 8192, 512  # columns of the vocabulary and rows at once: 16 MiB of logits


class Loss(NamedTuple):
    """Cross-entropy of each row in nats (n,), and the sum's gradient (n, width), float32, unless it was not asked for.

    Nothing here waits for the device.
    """

    nats: Tensor
    hidden_gradient: Tensor | None


class Head:
    """The output projection of a language model, tied or not, softcapped or not.

    If it is `trained` (a full fine-tune), its weights' gradient (vocabulary, width) is added to their `grad`.
    """

    def __init__(self, model: Any, trained: bool = False) -> None:
        self._weight: Tensor = model.lm_head.weight
        self.trained = trained
        self._softcap: float | None = getattr(model.config, "final_logit_softcapping", None)

    @torch.no_grad()
    def logits(self, hidden: Tensor) -> Tensor:
        """(n, width) to (n, vocabulary), float32."""
        return self._capped(product(hidden, self._weight.T).float())

    @torch.no_grad()
    def loss(self, hidden: Tensor, targets: Tensor, gradient: bool = True, weights: Tensor | None = None) -> Loss:
        """The loss of `hidden` (n, width) against the ids `targets` (n,).

        The gradient is that of the sum by `weights` (n,), each 1 if they are not given.
        """
        trained = self.trained and gradient
        size = HEAD_ROWS if trained else ROWS
        by_row = torch.ones_like(hidden[:, 0]) if weights is None else weights
        chunks = [
            self._trained_chunk(rows, ids, row_weights) if trained else self._in_tiles(rows, ids, gradient)
            for rows, ids, row_weights in zip(hidden.split(size), targets.split(size), by_row.split(size), strict=True)
        ]
        nats = torch.cat([chunk.nats for chunk in chunks])
        if not gradient:
            return Loss(nats, None)
        hidden_gradient = torch.cat([chunk.hidden_gradient for chunk in chunks if chunk.hidden_gradient is not None])
        return Loss(nats, hidden_gradient if trained or weights is None else hidden_gradient.mul_(by_row.unsqueeze(1)))

    def _capped(self, logits: Tensor) -> Tensor:
        return logits.div_(self._softcap).tanh_().mul_(self._softcap) if self._softcap else logits

    def _softcap_slope(self, logits: Tensor) -> Tensor | None:
        """The softcap's derivative where it gave `logits`."""
        return 1 - (logits / self._softcap).square_() if self._softcap else None

    def _in_tiles(self, hidden: Tensor, ids: Tensor, gradient: bool) -> Loss:
        """`loss` of so few rows that their logits of one tile may be in memory."""
        # Running over the tiles, for each row: the highest logit (n, 1), the sum of exp(logit - highest) (n, 1), and,
        # for the gradient, the sum of the vocabulary's weights by these (n, width).
        highest = hidden.new_full((len(hidden), 1), -torch.inf, dtype=torch.float32)
        normalizer, weighted_sum = torch.zeros_like(highest), torch.zeros_like(hidden, dtype=torch.float32)
        for start in range(0, len(self._weight), TILE):
            tile = self._weight[start : start + TILE]
            logits = self._capped(product(hidden, tile.T).float())
            softcap_slope = self._softcap_slope(logits) if gradient else None
            previous, highest = highest, torch.maximum(highest, logits.amax(1, keepdim=True))
            # What was summed up relative to the previous highest logit is made relative to the new one.
            rescale = (previous - highest).exp_()
            probabilities = logits.sub_(highest).exp_()
            normalizer = normalizer.mul_(rescale).add_(probabilities.sum(1, keepdim=True))
            if gradient:
                probabilities = probabilities if softcap_slope is None else probabilities.mul_(softcap_slope)
                weighted_sum.mul_(rescale).add_(product(probabilities.to(hidden.dtype), tile))
        target_weights = self._weight[ids]
        target_logits = self._capped(torch.linalg.vecdot(hidden.float(), target_weights.float()).unsqueeze(1))
        nats = (highest + normalizer.log() - target_logits).squeeze(1)
        if not gradient:
            return Loss(nats, None)
        # The gradient: the weights averaged by the probabilities, less those of the target.
        softcap_slope = self._softcap_slope(target_logits)
        target_weights = target_weights if softcap_slope is None else target_weights * softcap_slope
        return Loss(nats, weighted_sum.div_(normalizer).sub_(target_weights))

    def _trained_chunk(self, hidden: Tensor, ids: Tensor, weights: Tensor) -> Loss:
        """`loss` of so few rows that their logits may be in memory; the weights' gradient is added to their `grad`."""
        logits = self._capped(hidden @ self._weight.T)
        softcap_slope = self._softcap_slope(logits)
        columns = ids.unsqueeze(1)
        log_normalizer = logits.logsumexp(1, keepdim=True)
        nats = (log_normalizer - logits.gather(1, columns)).squeeze(1)
        # (n, vocabulary): the probabilities, less 1 at the targets, by the softcap's derivative.
        logit_gradient = logits.sub_(log_normalizer).exp_()
        logit_gradient.scatter_add_(1, columns, logit_gradient.new_full(columns.shape, -1.0))
        logit_gradient.mul_(weights.unsqueeze(1))
        logit_gradient = logit_gradient if softcap_slope is None else logit_gradient.mul_(softcap_slope)
        if self._weight.grad is None:
            self._weight.grad = torch.zeros_like(self._weight)
        self._weight.grad.addmm_(logit_gradient.T, hidden)
        return Loss(nats, logit_gradient @ self._weight)
