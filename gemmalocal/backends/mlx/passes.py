"""Forward and backward pass of some micro-batches: loss and gradient, built while the model computes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from gemmalocal.backends.mlx import attention
from gemmalocal.backends.mlx.lora import LoraLinear
from gemmalocal.backends.mlx.loss import Head
from gemmalocal.backends.mlx.streams import Streams
from gemmalocal.backends.mlx.trainable import Trainable
from gemmalocal.backends.protocol import Objective, TokenIds, of_each
from gemmalocal.data.batches import MicroBatch
from gemmalocal.weights.tensors import Floats


class Network(NamedTuple):
    """A language model, its head, its adapters in order (none if all is trained), and what of it is trained.

    `temperature` is that of the softmax where each token is asked for several ids.
    """

    language_model: Any
    head: Head
    adapters: Sequence[LoraLinear]
    trainable: Trainable
    temperature: float = 1.0

    def tempered(self, hidden: mx.array, targets: mx.array) -> mx.array:
        """Hidden states as the head of these targets, (n,) or (n, k), takes them."""
        return hidden if targets.ndim == 1 or self.temperature == 1 else hidden / self.temperature

    def head_of(self, targets: mx.array) -> Head:
        """The head for these targets, over what `tempered` gives."""
        return self.head if targets.ndim == 1 or self.temperature == 1 else self.head.tempered(self.temperature)

    @property
    def width(self) -> int:
        """Of the hidden states."""
        return int(self.language_model.args.hidden_size)

    @property
    def activation_dtype(self) -> mx.Dtype:
        """Of the hidden states."""
        return self.language_model.model.norm.weight.dtype

    def hidden(self, batch: MicroBatch, positions: mx.array) -> mx.array:
        """The hidden states (n, width) at `positions` (n,) of (rows * length)."""
        with attention.segments(batch.segments, batch.prefixes):
            states = self.language_model.model(mx.array(batch.ids[:, :-1]))
        return states.reshape(-1, self.width)[positions]

    def set_dropout_keys(self, keys: Iterable[mx.array | None]) -> None:
        """A key for each adapter."""
        for adapter, key in zip(self.adapters, keys, strict=True):
            adapter.set_dropout_key(key)

    def switch_dropout_off(self) -> None:
        """No masks from now on."""
        self.set_dropout_keys([None] * len(self.adapters))


class _Passes(NamedTuple):
    """A micro-batch of n supervised tokens under way: `hidden` and `cotangent` are (n, width).

    `targets` are ids, (n,) or (n, k), `weights` (n,) the tokens', `gradient` an array for each trainable one.
    """

    hidden: mx.array
    targets: mx.array
    weights: Floats
    cotangent: mx.array
    gradient: list[mx.array]


class EagerPasses:
    """Op by op, micro-batches side by side on several streams; also where the head itself is trained."""

    def __init__(self, network: Network, streams: Streams) -> None:
        self._network, self._streams = network, streams

    def __call__(
        self,
        parts: Sequence[MicroBatch],
        keys: Sequence[mx.array],
        objective: Objective | None = None,
        choices: Sequence[TokenIds] | None = None,
    ) -> tuple[float, list[mx.array]]:
        """Summed loss (nats, or that of the objective), and its gradient by the network's trainable arrays.

        `keys` are (adapters, 2), for each part, and `choices` (n, k).
        """
        passes = self._streams.map(self._forward_backward, parts, keys, of_each(parts, choices))
        self._streams.evaluate(*(batch.hidden for batch in passes))
        total, hidden_gradient, weight_gradient = self._head_gradients(passes, objective)
        # The head's gradient (n of all, width) is written into the buffers that the backward passes wait with.
        start = 0
        for batch in passes:
            end = start + len(batch.targets)
            np.array(batch.cotangent, copy=False)[...] = np.array(hidden_gradient[start:end].astype(mx.float32))
            start = end
        self._streams.evaluate(*(batch.gradient for batch in passes))
        gradient = [sum(summands[1:], summands[0]) for summands in zip(*(p.gradient for p in passes), strict=True)]
        if weight_gradient is not None:
            gradient[self._network.trainable.names.index(self._network.head.name)] += weight_gradient
        return total, gradient

    def _head_gradients(
        self, passes: Sequence[_Passes], objective: Objective | None
    ) -> tuple[float, mx.array, mx.array | None]:
        """Summed loss, and its gradients by hidden states (n, width) and by the head's weights, if it is trained."""
        hidden = mx.concatenate([batch.hidden for batch in passes])
        targets = mx.concatenate([batch.targets for batch in passes])
        head = self._network.head_of(targets)
        if objective is None:
            weights = np.concatenate([batch.weights for batch in passes])
            loss = head.loss(hidden, targets, weights=weights)
            total = float(np.dot(loss.nats.astype(np.float64), weights))
        else:
            ends = np.cumsum([len(batch.targets) for batch in passes])[:-1]
            totals: list[float] = []

            def judge(nats: Floats) -> Floats:
                total, slopes = objective(np.split(-nats, ends))
                totals.append(total)
                return -np.concatenate(slopes)

            loss = head.judged(hidden, targets, judge)
            (total,) = totals
        assert loss.hidden_gradient is not None
        return total, loss.hidden_gradient, loss.weight_gradient

    def _forward_backward(self, batch: MicroBatch, keys: mx.array, choices: TokenIds | None) -> _Passes:
        """Build forward and backward pass at once, as MLX does, though the cotangent is not known before the head ran.

        It gets a buffer that is filled in between. So each activation lives just as long as its gradient needs it.
        """
        network = self._network
        network.set_dropout_keys(list(keys))
        arrays = network.trainable.arrays
        positions, targets = supervised(batch, choices)

        def forward(*arrays: mx.array) -> mx.array:
            network.trainable.update(list(arrays))
            return network.tempered(network.hidden(batch, positions).astype(mx.float32), targets)

        cotangent = mx.zeros((len(targets), network.width))
        mx.eval(cotangent)
        with attention.segments(
            batch.segments, batch.prefixes
        ):  # here, since checkpointing builds a layer again in the backward pass
            (hidden,), gradient = mx.vjp(forward, arrays, [cotangent])
        network.trainable.update(arrays)
        return _Passes(hidden, targets, batch.token_weights, cotangent, gradient)

    def loss(self, parts: Sequence[MicroBatch]) -> float:
        """Summed loss (nats), a token's by its weight, without dropout."""
        pairs = zip(self.nats(parts), parts, strict=True)
        return float(sum(np.dot(nats.astype(np.float64), part.token_weights) for nats, part in pairs))

    def nats(
        self,
        parts: Sequence[MicroBatch],
        keys: Sequence[mx.array] | None = None,
        choices: Sequence[TokenIds] | None = None,
    ) -> list[Floats]:
        """The loss of each supervised token, (n,) float32, of each part; with dropout if there are `keys`.

        With `choices` (n, k) for each part it is that of these ids, (n, k).
        """
        of_parts = [supervised(part, ids) for part, ids in zip(parts, of_each(parts, choices), strict=True)]
        positions, targets = zip(*of_parts, strict=True)
        hidden = self._streams.map(self._hidden, parts, positions, of_each(parts, keys))
        self._streams.evaluate(*hidden)
        joined = mx.concatenate(list(targets))
        states = self._network.tempered(mx.concatenate(hidden), joined)
        nats = self._network.head_of(joined).loss(states, joined, gradient=False).nats
        return np.split(nats, np.cumsum([len(ids) for ids in targets])[:-1])

    def _hidden(self, part: MicroBatch, positions: mx.array, keys: mx.array | None) -> mx.array:
        if keys is None:
            self._network.switch_dropout_off()
        else:
            self._network.set_dropout_keys(list(keys))
        return self._network.hidden(part, positions)


def supervised(batch: MicroBatch, choices: TokenIds | None = None) -> tuple[mx.array, mx.array]:
    """Flat positions in (rows * length) whose next token is supervised, (n,), and those next tokens' ids, (n,).

    Or the ids (n, k) that were chosen for them. Both are int32.
    """
    positions, ids = batch.predictions()
    return mx.array(positions), mx.array(ids if choices is None else choices)
