"""Forward pass, head and backward pass of a micro-batch as one compiled graph, for a GPU and a frozen head.

The gradient of the head is known with its loss (loss.py), so nothing has to wait for it. Compiled once for each shape
of micro-batch, of which batches.py makes few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from gemmalocal.backends.mlx import attention, lora
from gemmalocal.backends.mlx.flat import FlatLayout
from gemmalocal.backends.mlx.passes import Network, supervised
from gemmalocal.data.batches import MicroBatch
from gemmalocal.planning.memory import HEAD_ROWS

SUPERVISED_STEP = 32  # supervised tokens are filled up to multiples of it, above HEAD_ROWS to multiples of that


class CompiledPasses:
    """Passes over one vector of what is trained, which `vector` gives."""

    def __init__(self, network: Network, layout: FlatLayout, vector: Callable[[], mx.array]) -> None:
        self._network, self._layout, self._vector = network, layout, vector
        self._dtype = network.activation_dtype
        self._scale = network.adapters[0].scale
        kinds = [name.rpartition(".")[2] for name in network.trainable.names]
        self._scaled = layout.borders[kinds.count("lora_a")]  # numbers of A, which lie in front
        self._narrow_count = kinds.count("lora_a") + kinds.count("lora_b")  # arrays in the activations' type
        self._narrow = layout.borders[self._narrow_count]
        self._compiled: dict[tuple[bool, tuple[int, ...]], Callable[..., Any]] = {}

    def __call__(self, parts: Sequence[MicroBatch], keys: Sequence[mx.array]) -> tuple[mx.array, list[mx.array]]:
        """Summed loss (nats), and its gradient, a vector (size,) of float32; nothing is waited for.

        `keys` are (adapters, 2), for each part.
        """
        vector = self._vector()
        passes = [
            self._function(True, part)(vector, key, *_inputs(part)) for part, key in zip(parts, keys, strict=True)
        ]
        losses, gradients = zip(*passes, strict=True)
        return sum(losses[1:], losses[0]), [sum(gradients[1:], gradients[0])]

    def loss(self, parts: Sequence[MicroBatch]) -> float:
        """Summed loss (nats), without dropout."""
        vector = self._vector()
        losses: list[mx.array] = [self._function(False, part)(vector, *_inputs(part)) for part in parts]
        return float(np.array(sum(losses[1:], losses[0])))

    def _function(self, gradient: bool, batch: MicroBatch) -> Callable[..., Any]:
        """What is compiled, for rows of certain segments, which are no input of it."""
        key = gradient, batch.segments
        if key not in self._compiled:
            build = self._gradient if gradient else self._loss

            def function(*inputs: Any) -> Any:
                trained = self._network.trainable.arrays
                with attention.segments(batch.segments), lora.unit_scale(self._network.adapters):
                    built = build(*inputs)
                self._network.trainable.update(trained)  # not the tracers that stood for them
                return built

            self._compiled[key] = mx.compile(function)
        return self._compiled[key]

    def _gradient(self, vector: mx.array, keys: mx.array, *inputs: mx.array) -> tuple[mx.array, mx.array]:
        self._network.set_dropout_keys(list(keys))
        arrays = self._arrays(vector)

        def loss(*arrays: mx.array) -> mx.array:
            return self._built(list(arrays), *inputs)

        total, gradients = mx.value_and_grad(loss, argnums=list(range(len(arrays))))(*arrays)
        return total, self._joined(gradients)

    def _loss(self, vector: mx.array, *inputs: mx.array) -> mx.array:
        self._network.switch_dropout_off()
        return self._built(self._arrays(vector), *inputs)

    def _built(
        self, arrays: list[mx.array], ids: mx.array, positions: mx.array, targets: mx.array, weights: mx.array
    ) -> mx.array:
        self._network.trainable.update(arrays)
        states = self._network.language_model.model(ids)
        hidden = states.reshape(-1, self._network.width)[positions]
        return self._network.head.summed_loss(hidden, targets, weights)

    def _arrays(self, vector: mx.array) -> list[mx.array]:
        """The arrays that the layers compute with: A with LoRA's scale, A and B in the activations' type."""
        scaled = (vector[: self._scaled] * self._scale).astype(self._dtype)
        narrow = vector[self._scaled : self._narrow].astype(self._dtype)
        return self._layout.split(scaled, narrow, vector[self._narrow :])

    def _joined(self, gradients: Sequence[mx.array]) -> mx.array:
        """The gradient (size,), float32, of what `_arrays` was given."""
        count = self._narrow_count
        narrow = mx.concatenate([gradient.reshape(-1) for gradient in gradients[:count]]).astype(mx.float32)
        # The chain rule through `_arrays`: what was multiplied by the scale is multiplied again.
        narrow = narrow * mx.where(mx.arange(self._narrow) < self._scaled, self._scale, 1.0)
        rest = [gradient.reshape(-1) for gradient in gradients[count:]]
        return mx.concatenate([narrow, *rest, mx.zeros(self._layout.size - self._layout.borders[-1])])


def _inputs(batch: MicroBatch) -> tuple[mx.array, mx.array, mx.array, mx.array]:
    """Ids (rows, length), and positions, targets and weights (n,) of the supervised tokens, filled up."""
    positions, targets = supervised(batch)
    step = SUPERVISED_STEP if positions.size <= HEAD_ROWS else HEAD_ROWS
    missing = -positions.size % step
    weights = np.concatenate([np.ones(positions.size), np.zeros(missing)]).astype(np.float32)
    return (
        mx.array(batch.ids[:, :-1]),
        mx.pad(positions, (0, missing)),
        mx.pad(targets, (0, missing)),
        mx.array(weights),
    )
