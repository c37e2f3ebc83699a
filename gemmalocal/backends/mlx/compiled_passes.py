"""Forward pass, head and backward pass of a micro-batch as one compiled graph, for a GPU and a frozen head.

The gradient of the head is known with its loss (loss.py), so nothing has to wait for it. Compiled once for each shape
of micro-batch, of which batches.py makes few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import mlx.core as mx
import numpy as np

from gemmalocal.backends.mlx import attention, lora
from gemmalocal.backends.mlx.flat import FlatLayout
from gemmalocal.backends.mlx.passes import Network, supervised
from gemmalocal.backends.protocol import ByToken, Formula, Objective, TokenIds, TokenValues, of_each
from gemmalocal.data.batches import MicroBatch
from gemmalocal.planning.memory import HEAD_ROWS
from gemmalocal.weights.tensors import Floats

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
        self._compiled: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def __call__(
        self,
        parts: Sequence[MicroBatch],
        keys: Sequence[mx.array],
        objective: Objective | None = None,
        choices: Sequence[TokenIds] | None = None,
    ) -> tuple[mx.array | float, list[mx.array]]:
        """Summed loss (nats, or that of the objective), and its gradient, a vector (size,) of float32.

        `keys` are (adapters, 2), for each part, and `choices` (n, k). Without an objective nothing is waited for. With
        one the log-probabilities come first: its slopes are an input of the same function. One that goes token by token
        is a part of the graph instead.
        """
        if isinstance(objective, ByToken):
            return self._judged(parts, keys, objective, choices)
        vector, total = self._vector(), None
        slopes: list[Floats | None] = [None] * len(parts)
        if objective is not None:
            total, of_parts = objective([-nats for nats in self.nats(parts, keys, choices)])
            slopes = [-slope for slope in of_parts]
        passes = [
            self._function("gradient", part)(vector, key, *_inputs(part, weights, ids))
            for part, key, weights, ids in zip(parts, keys, slopes, of_each(parts, choices), strict=True)
        ]
        losses, gradients = zip(*passes, strict=True)
        return sum(losses[1:], losses[0]) if total is None else total, [sum(gradients[1:], gradients[0])]

    def _judged(
        self, parts: Sequence[MicroBatch], keys: Sequence[mx.array], judge: ByToken, choices: Sequence[TokenIds] | None
    ) -> tuple[float, list[mx.array]]:
        """One pass, in which the slopes are computed; its log-probabilities tell the rest."""
        vector = self._vector()
        passes = [
            self._function("judged", part, judge.formula)(vector, key, *_inputs(part, choices=ids), *_filled(own, part))
            for part, key, ids, own in zip(parts, keys, of_each(parts, choices), judge.constants, strict=True)
        ]
        nats, gradients = zip(*passes, strict=True)
        gradient = sum(gradients[1:], gradients[0])
        mx.async_eval(nats, gradient)
        total, _ = judge([-np.array(padded)[: part.supervised] for padded, part in zip(nats, parts, strict=True)])
        return total, [gradient]

    def loss(self, parts: Sequence[MicroBatch]) -> float:
        """Summed loss (nats), a token's by its weight, without dropout."""
        vector = self._vector()
        losses: list[mx.array] = [self._function("loss", part)(vector, *_inputs(part)) for part in parts]
        return float(np.array(sum(losses[1:], losses[0])))

    def nats(
        self,
        parts: Sequence[MicroBatch],
        keys: Sequence[mx.array] | None = None,
        choices: Sequence[TokenIds] | None = None,
    ) -> list[Floats]:
        """The loss of each supervised token, (n,) float32, of each part; with dropout if there are `keys`.

        With `choices` (n, k) for each part it is that of these ids, (n, k).
        """
        vector, nats = self._vector(), []
        for part, key, ids in zip(parts, of_each(parts, keys), of_each(parts, choices), strict=True):
            if key is None:
                nats.append(self._function("nats", part)(vector, *_inputs(part, choices=ids)))
            else:
                nats.append(self._function("nats with dropout", part)(vector, key, *_inputs(part, choices=ids)))
        return [np.array(padded)[: part.supervised] for padded, part in zip(nats, parts, strict=True)]

    def _function(self, what: str, batch: MicroBatch, formula: Formula | None = None) -> Callable[..., Any]:
        """What is compiled, for rows of certain segments, which are no input of it; nor is a formula."""
        key = what, batch.segments, batch.prefixes, formula
        if key not in self._compiled:
            builders: dict[str, Callable[..., Any]] = {
                "gradient": self._gradient,
                "loss": self._loss,
                "nats": self._nats,
                "nats with dropout": self._nats_with_dropout,
                "judged": lambda *inputs: self._judged_gradient(cast("Formula", formula), *inputs),
            }
            build = builders[what]

            def function(*inputs: Any) -> Any:
                trained = self._network.trainable.arrays
                with attention.segments(batch.segments, batch.prefixes), lora.unit_scale(self._network.adapters):
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

    def _judged_gradient(
        self,
        formula: Formula,
        vector: mx.array,
        keys: mx.array,
        ids: mx.array,
        positions: mx.array,
        targets: mx.array,
        weights: mx.array,
        *constants: mx.array,
    ) -> tuple[mx.array, mx.array]:
        """The loss at each id, and the gradient of the sum of what the formula makes of them."""
        self._network.set_dropout_keys(list(keys))
        arrays = self._arrays(vector)

        def judge(nats: mx.array, rows: slice) -> tuple[mx.array, mx.array]:
            losses, slopes = formula(mx, -nats, *(constant[rows] for constant in constants))
            return losses, -slopes

        def loss(*arrays: mx.array) -> tuple[mx.array, mx.array]:
            hidden = self._network.tempered(self._hidden(list(arrays), ids, positions), targets)
            return self._network.head_of(targets).judged_loss(hidden, targets, judge)

        (_, nats), gradients = mx.value_and_grad(loss, argnums=list(range(len(arrays))))(*arrays)
        return nats, self._joined(gradients)

    def _loss(self, vector: mx.array, *inputs: mx.array) -> mx.array:
        self._network.switch_dropout_off()
        return self._built(self._arrays(vector), *inputs)

    def _nats(self, vector: mx.array, *inputs: mx.array) -> mx.array:
        self._network.switch_dropout_off()
        return self._built_nats(self._arrays(vector), *inputs)

    def _nats_with_dropout(self, vector: mx.array, keys: mx.array, *inputs: mx.array) -> mx.array:
        self._network.set_dropout_keys(list(keys))
        return self._built_nats(self._arrays(vector), *inputs)

    def _built_nats(
        self, arrays: list[mx.array], ids: mx.array, positions: mx.array, targets: mx.array, weights: mx.array
    ) -> mx.array:
        hidden = self._network.tempered(self._hidden(arrays, ids, positions), targets)
        return self._network.head_of(targets).nats(hidden, targets)

    def _built(
        self, arrays: list[mx.array], ids: mx.array, positions: mx.array, targets: mx.array, weights: mx.array
    ) -> mx.array:
        hidden = self._network.tempered(self._hidden(arrays, ids, positions), targets)
        return self._network.head_of(targets).summed_loss(hidden, targets, weights)

    def _hidden(self, arrays: list[mx.array], ids: mx.array, positions: mx.array) -> mx.array:
        """The hidden states (n, width) of the supervised tokens, filled up."""
        self._network.trainable.update(arrays)
        states = self._network.language_model.model(ids)
        return states.reshape(-1, self._network.width)[positions]

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


def _inputs(
    batch: MicroBatch, weights: Floats | None = None, choices: TokenIds | None = None
) -> tuple[mx.array, mx.array, mx.array, mx.array]:
    """Ids (rows, length), and positions, targets and weights (n,) of the supervised tokens, filled up.

    `weights` (n,) are by how much each token's loss counts; the batch's own if they are not given. With `choices`,
    which are the targets then, all of these are (n, k).
    """
    positions, targets = supervised(batch, choices)
    missing = _missing(positions.size)
    counted = batch.token_weights if weights is None else weights
    filled = [(0, missing), *[(0, 0)] * (targets.ndim - 1)]
    return (
        mx.array(batch.ids[:, :-1]),
        mx.pad(positions, (0, missing)),
        mx.pad(targets, filled),
        mx.array(np.pad(counted, filled[: counted.ndim]).astype(np.float32)),
    )


def _missing(count: int) -> int:
    """How many places fill up so many."""
    return -count % (SUPERVISED_STEP if count <= HEAD_ROWS else HEAD_ROWS)


def _filled(constants: Sequence[TokenValues], batch: MicroBatch) -> list[mx.array]:
    """Constants (n, ...) of the supervised tokens, filled up with zeros as these are."""
    missing = _missing(batch.supervised)
    return [mx.array(np.pad(constant, [(0, missing), *[(0, 0)] * (constant.ndim - 1)])) for constant in constants]
