"""What the trainers are measured against, and rows to do it with."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from gemmalocal.data.batches import MicroBatch
from gemmalocal.data.examples import Example


def some_rows(count: int = 6) -> list[Example]:
    random = np.random.default_rng(3)
    rows = []
    for number in range(count):
        length = int(random.integers(6, 40))
        ids = random.integers(6, 300, length).astype(np.int32)
        weights = (random.random(length) < 0.5).astype(np.float32)
        weights[-1] = 1
        rows.append(Example(ids, weights, str(number)))
    return rows


def reference(made: Any, batch: MicroBatch) -> tuple[float, list[mx.array]]:
    """Loss and gradient by mlx-lm's whole forward pass, full logits and plain autodiff."""

    def summed(model: Any) -> mx.array:
        logits = model(mx.array(batch.ids[:, :-1]))
        each = nn.losses.cross_entropy(logits, mx.array(batch.ids[:, 1:]))
        return mx.sum(each * mx.array(batch.weights[:, 1:]))

    value, slopes = nn.value_and_grad(made._model, summed)(made._model)
    by_name: dict[str, mx.array] = dict(tree_flatten(slopes))
    return float(np.array(value)), [by_name[name] for name in made._trainable.names]


def gradient(made: Any) -> list[mx.array]:
    """What a trainer has accumulated, by the arrays that it trains."""
    layout = made._updater.layout
    return list(layout.split(*made._gradient)) if layout else list(made._gradient)


def close(left: list[mx.array], right: list[mx.array], tolerance: float = 2e-4) -> None:
    for one, other in zip(left, right, strict=True):
        scale = float(np.abs(np.array(other)).max()) + 1e-6
        np.testing.assert_allclose(np.array(one), np.array(other), atol=tolerance * scale)
