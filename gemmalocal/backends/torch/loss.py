"""Linear cross-entropy that never holds the logits of a batch.

The gradient with respect to the hidden states is known as soon as the loss is. The vocabulary is taken in tiles; the
softmax is kept up to date from tile to tile (https://arxiv.org/abs/1805.02867), as is the product of the tile's
probabilities with its weights, of which the gradient is made. Masked rows never reach the head.

A row is asked for its log-probability at one id, or at k of them; any objective over these is a slope by each. With
s the softmax of a row's logits (and c' the derivative of their softcap), the gradient by its hidden state is

    sum_k slope_k (s c') W - sum_k slope_k c'_k W[id_k]         of slopes by -log s_k

whose first product is made with the loss and needs no slopes.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gemmalocal.backends.torch.frozen_linear import product
from gemmalocal.planning.memory import HEAD_ROWS

TILE, ROWS = 8192, 512  # columns of the vocabulary and rows at once: 16 MiB of logits


class Loss(NamedTuple):
    """Cross-entropy at each id in nats, (n,) or (n, k), and the sum's gradient (n, width), unless it was not asked for.

    Both are float32. Nothing here waits for the device.
    """

    nats: Tensor
    hidden_gradient: Tensor | None


class _Scored(NamedTuple):
    """Of n rows at ids (n, k): `nats` (n, k), and what a gradient by their hidden states is made of, if asked for.

    `mean` (n, width) are the head's weights averaged by softmax; `softcap_slope` (n, k) is None without a softcap.
    """

    ids: Tensor
    nats: Tensor
    mean: Tensor | None
    softcap_slope: Tensor | None


class Scores:
    """What a frozen head says of rows, and any gradient of it: `nats` are shaped as the ids, (n,) or (n, k)."""

    def __init__(self, weight: Tensor, chunks: Sequence[_Scored], shape: torch.Size) -> None:
        self._weight, self._chunks, self._shape = weight, chunks, shape
        self.nats = torch.cat([chunk.nats for chunk in chunks]).view(shape)

    @torch.no_grad()
    def gradient(self, weights: Tensor | None = None) -> Tensor:
        """(n, width), of the sum of `nats` by `weights`, shaped alike and each 1 if not given; to be asked once."""
        by_id = torch.ones_like(self.nats) if weights is None else weights
        rows = [len(chunk.ids) for chunk in self._chunks]
        by_chunk = by_id.reshape(len(by_id), -1).split(rows)
        return torch.cat([self._of_chunk(*both) for both in zip(self._chunks, by_chunk, strict=True)])

    def _of_chunk(self, chunk: _Scored, weights: Tensor) -> Tensor:
        assert chunk.mean is not None
        gradient = chunk.mean.mul_(weights.sum(1, keepdim=True))
        by_id = weights if chunk.softcap_slope is None else weights * chunk.softcap_slope
        for column in range(by_id.shape[1]):  # one by one: the weights of all ids would be (n, k, width)
            gradient.sub_(self._weight[chunk.ids[:, column]] * by_id[:, column, None])
        return gradient


class Head:
    """The output projection of a language model, tied or not, softcapped or not.

    If it is `trained` (a full fine-tune), its weights' gradient (vocabulary, width) is added to their `grad`.
    """

    def __init__(self, model: Any, trained: bool = False) -> None:
        self._weight: Tensor = model.lm_head.weight
        self.trained = trained
        self._softcap: float | None = getattr(model.config, "final_logit_softcapping", None)

    def tempered(self, temperature: float) -> Head:
        """Over hidden states that are divided by it: its logits are then those of this one, divided by it too.

        That is so of the softcap as well: c tanh(x / c) / t is c' tanh((x / t) / c') with c' = c / t.
        """
        head = copy.copy(self)
        head._softcap = self._softcap and self._softcap / temperature
        return head

    @torch.no_grad()
    def logits(self, hidden: Tensor) -> Tensor:
        """(n, width) to (n, vocabulary), float32."""
        return self._capped(product(hidden, self._weight.T).float())

    @torch.no_grad()
    def loss(self, hidden: Tensor, targets: Tensor, gradient: bool = True, weights: Tensor | None = None) -> Loss:
        """The loss of `hidden` (n, width) against ids, `targets` (n,) or (n, k).

        The gradient is that of the sum by `weights`, shaped as the ids, each 1 if they are not given.
        """
        if self.trained and gradient:
            return self._trained_loss(hidden, targets, weights)
        scores = self.scores(hidden, targets, gradient)
        return Loss(scores.nats, scores.gradient(weights) if gradient else None)

    @torch.no_grad()
    def scores(self, hidden: Tensor, targets: Tensor, gradient: bool = True) -> Scores:
        """As `loss`, but for weights that are not known yet; of a head that is not trained."""
        ids = targets.reshape(len(targets), -1)
        chunks = zip(hidden.split(ROWS), ids.split(ROWS), strict=True)
        return Scores(self._weight, [self._in_tiles(*chunk, gradient) for chunk in chunks], targets.shape)

    def _trained_loss(self, hidden: Tensor, targets: Tensor, weights: Tensor | None) -> Loss:
        by_id = torch.ones_like(targets, dtype=torch.float32) if weights is None else weights
        chunks = [
            self._trained_chunk(rows, ids.reshape(len(ids), -1), by_row.reshape(len(ids), -1))
            for rows, ids, by_row in zip(
                hidden.split(HEAD_ROWS), targets.split(HEAD_ROWS), by_id.split(HEAD_ROWS), strict=True
            )
        ]
        nats, gradients = zip(*chunks, strict=True)
        return Loss(torch.cat(nats).view(targets.shape), torch.cat(gradients))

    def _capped(self, logits: Tensor) -> Tensor:
        return logits.div_(self._softcap).tanh_().mul_(self._softcap) if self._softcap else logits

    def _softcap_slope(self, logits: Tensor) -> Tensor | None:
        """The softcap's derivative where it gave `logits`."""
        return 1 - (logits / self._softcap).square_() if self._softcap else None

    def _in_tiles(self, hidden: Tensor, ids: Tensor, gradient: bool) -> _Scored:
        """`scores` of so few rows, at ids (n, k), that their logits of one tile may be in memory."""
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
        mean = weighted_sum.div_(normalizer) if gradient else None
        logits = self._logits_at(hidden, ids)
        return _Scored(ids, highest + normalizer.log() - logits, mean, self._softcap_slope(logits))

    def _logits_at(self, hidden: Tensor, ids: Tensor) -> Tensor:
        """The logits at ids (n, k), float32, of products that are."""
        columns = [torch.linalg.vecdot(hidden.float(), self._weight[column].float()) for column in ids.unbind(1)]
        return self._capped(torch.stack(columns, 1))

    def _trained_chunk(self, hidden: Tensor, ids: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Loss (n, k) and gradient (n, width) of so few rows that their logits may be in memory.

        The weights' gradient is added to their `grad`.
        """
        logits = self._capped(hidden @ self._weight.T)
        softcap_slope = self._softcap_slope(logits)
        log_normalizer = logits.logsumexp(1, keepdim=True)
        nats = log_normalizer - logits.gather(1, ids)
        # (n, vocabulary): the probabilities by all weights, less these at the ids, by the softcap's derivative.
        logit_gradient = logits.sub_(log_normalizer).exp_().mul_(weights.sum(1, keepdim=True))
        logit_gradient.scatter_add_(1, ids, -weights)
        logit_gradient = logit_gradient if softcap_slope is None else logit_gradient.mul_(softcap_slope)
        if self._weight.grad is None:
            self._weight.grad = torch.zeros_like(self._weight)
        self._weight.grad.addmm_(logit_gradient.T, hidden)
        return nats, logit_gradient @ self._weight
