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
    """Summed cross-entropy, and its gradient (n, width), float32, unless it was not asked for."""

    total: float
    hidden: Tensor | None


class Head:
    """The output projection of a language model, tied or not, softcapped or not.

    If it is `trained` (a full fine-tune), its weights' gradient (vocabulary, width) is added to their `grad`.
    """

    def __init__(self, model: Any, trained: bool = False) -> None:
        self._weight: Tensor = model.lm_head.weight
        self._trained = trained
        self._softcap: float | None = getattr(model.config, "final_logit_softcapping", None)

    @torch.no_grad()
    def logits(self, hidden: Tensor) -> Tensor:
        """(n, width) to (n, vocabulary), float32."""
        return self._capped(product(hidden, self._weight.T).float())

    @torch.no_grad()
    def loss(self, hidden: Tensor, targets: Tensor, gradient: bool = True) -> Loss:
        """The loss of (n, width) against (n,) ids."""
        trained = self._trained and gradient
        one, chunk = (self._trained_chunk, HEAD_ROWS) if trained else (self._in_tiles, ROWS)
        total, pieces = 0.0, []
        for rows, ids in zip(hidden.split(chunk), targets.split(chunk), strict=True):
            found = one(rows, ids, gradient)
            total += found.total
            pieces.append(found.hidden)
        return Loss(total, torch.cat([piece for piece in pieces if piece is not None]) if gradient else None)

    def _capped(self, logits: Tensor) -> Tensor:
        return logits.div_(self._softcap).tanh_().mul_(self._softcap) if self._softcap else logits

    def _bend(self, logits: Tensor) -> Tensor | None:
        """The softcap's derivative where it gave `logits`."""
        return 1 - (logits / self._softcap).square_() if self._softcap else None

    def _in_tiles(self, hidden: Tensor, ids: Tensor, gradient: bool) -> Loss:
        count = len(hidden)
        highest = hidden.new_full((count, 1), -torch.inf, dtype=torch.float32)
        sums, weighted = torch.zeros_like(highest), torch.zeros_like(hidden, dtype=torch.float32)
        for start in range(0, len(self._weight), TILE):
            tile = self._weight[start : start + TILE]
            logits = self._capped(product(hidden, tile.T).float())
            bend = self._bend(logits) if gradient else None
            before, highest = highest, torch.maximum(highest, logits.amax(1, keepdim=True))
            shrink = (before - highest).exp_()
            share = logits.sub_(highest).exp_()
            sums = sums.mul_(shrink).add_(share.sum(1, keepdim=True))
            if gradient:
                share = share if bend is None else share.mul_(bend)
                weighted.mul_(shrink).add_(product(share.to(hidden.dtype), tile))
        own = self._weight[ids]
        wanted = self._capped(torch.linalg.vecdot(hidden.float(), own.float()).unsqueeze(1))
        total = float((highest + sums.log() - wanted).sum(dtype=torch.float64))
        if not gradient:
            return Loss(total, None)
        bend = self._bend(wanted)
        return Loss(total, weighted.div_(sums).sub_(own if bend is None else own * bend))

    def _trained_chunk(self, hidden: Tensor, ids: Tensor, gradient: bool) -> Loss:
        logits = self._capped(hidden @ self._weight.T)
        bend = self._bend(logits)
        places = ids.unsqueeze(1)
        norm = logits.logsumexp(1, keepdim=True)
        total = float((norm - logits.gather(1, places)).sum(dtype=torch.float64))
        slope = logits.sub_(norm).exp_()
        slope.scatter_add_(1, places, slope.new_full(places.shape, -1.0))
        slope = slope if bend is None else slope.mul_(bend)
        if self._weight.grad is None:
            self._weight.grad = torch.zeros_like(self._weight)
        self._weight.grad.addmm_(slope.T, hidden)
        return Loss(total, slope @ self._weight)
