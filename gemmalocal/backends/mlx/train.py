"""accumulate, apply, evaluate, save, restore, stream: the MLX trainer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten
from numpy.typing import NDArray

from gemmalocal.backends import decoding, full_model, lora_init, peft_adapter
from gemmalocal.backends.mlx import attention, device, lora, model
from gemmalocal.backends.mlx.distributed import MlxGroup
from gemmalocal.backends.mlx.errors import translated
from gemmalocal.backends.mlx.generate import MlxRows
from gemmalocal.backends.mlx.loss import Head
from gemmalocal.backends.mlx.streams import Streams
from gemmalocal.backends.process_group import ALONE, Group
from gemmalocal.backends.protocol import Memory, Sampling, Update
from gemmalocal.data.batches import MicroBatch
from gemmalocal.errors import RecipeError
from gemmalocal.recipe.schema import Recipe, TrainSpec

OPTIMIZER, STATE = "optimizer.safetensors", "trainer.json"  # files of a checkpoint


class _Passes(NamedTuple):
    """A micro-batch of n supervised tokens under way: `hidden` and `cotangent` are (n, width), float32.

    `targets` are (n,) ids, `gradient` an array for each of the trainer's `_names`.
    """

    hidden: mx.array
    targets: mx.array
    cotangent: mx.array
    gradient: list[mx.array]


def trainer(folder: Path, recipe: Recipe, group: Group = ALONE) -> MlxTrainer:
    """Load the weights in `folder` and attach a fresh adapter."""
    with translated():
        return MlxTrainer(folder, recipe, group)


class MlxTrainer:
    """A Gemma, of which an adapter or all is trained, and an optimizer."""

    def __init__(self, folder: Path, recipe: Recipe, group: Group) -> None:
        self.shapes, self.group = device.shapes(), group
        self._streams = Streams(self.shapes.streams)
        self._recipe, self._full = recipe, recipe.method == "full"
        self._model, self._wrapped = model.load(folder, recipe.weight_dtype, recipe.bits)
        layers = self._model.model.layers
        self._layers = lora_init.adapted_layers(recipe.lora, len(layers))
        adapted = {index: layers[index] for index in self._layers}
        self._adapters: list[lora.LoraLinear] = []
        if self._full:
            model.unfreeze_all(self._model, self._wrapped)
        else:
            self._adapters = lora.attach_lora(adapted, recipe.lora, recipe.train.seed, recipe.method == "dora")
        for adapter in self._adapters:
            adapter.unfreeze(keys=["lora_a", "lora_b", "magnitude"], recurse=False)
        if recipe.train.checkpointing is True:
            model.checkpoint_layers(list(adapted.values()))
        self._head = Head(self._model, self._full)
        self._optimizer = optimizer(recipe.train)
        self._optimizer.init(self._model.trainable_parameters())
        self._names = [name for name, _ in self._trainable()]
        self._batch_count = 0  # micro-batches of all steps so far: with the seed, the whole random state
        self._gradient: list[mx.array] | None = None
        self._loss, self._tokens, self._parts = 0.0, 0, 0
        mx.eval(self._model.parameters())

    def accumulate(self, parts: Sequence[MicroBatch]) -> None:
        """Add the summed loss (nats) and gradient of micro-batches that run side by side, one on each stream."""
        with translated():
            passes = self._streams.map(self._forward_backward, parts)
            self._streams.evaluate(*(batch.hidden for batch in passes))
            loss = self._head.loss(
                _joined(batch.hidden for batch in passes), _joined(batch.targets for batch in passes)
            )
            assert loss.hidden_gradient is not None
            # The head's gradient (n of all, width) is written into the buffers that the backward passes wait with.
            start = 0
            for batch in passes:
                end = start + batch.targets.size
                np.array(batch.cotangent, copy=False)[...] = np.array(loss.hidden_gradient[start:end])
                start = end
            self._streams.evaluate(*(batch.gradient for batch in passes))
            gradients = [batch.gradient for batch in passes] + ([self._gradient] if self._gradient else [])
            gradient = [sum(summands[1:], summands[0]) for summands in zip(*gradients, strict=True)]
            if loss.weight_gradient is not None:
                gradient[self._names.index(self._head.name)] += loss.weight_gradient
            mx.eval(gradient)
        self._gradient = gradient
        self._loss += loss.total
        self._tokens += sum(part.supervised for part in parts)
        self._parts += len(parts)

    def _trainable(self) -> list[tuple[str, mx.array]]:
        return _named(self._model.trainable_parameters())

    def _set_dropout_keys(self, number: int) -> None:
        """A key for each adapter, by the seed and the micro-batch's number among all: whoever computes it."""
        batch_key = mx.random.key(self._recipe.train.seed * 1_000_003 + self._batch_count + number)
        keys = mx.random.split(batch_key, max(1, len(self._adapters)))[: len(self._adapters)]
        for adapter, key in zip(self._adapters, keys, strict=True):
            adapter.set_dropout_key(key)

    def _switch_dropout_off(self) -> None:
        for adapter in self._adapters:
            adapter.set_dropout_key(None)

    def _forward_backward(self, batch: MicroBatch) -> _Passes:
        """Build forward and backward pass at once, as MLX does, though the cotangent is not known before the head ran.

        It gets a buffer that is filled in between. So each activation lives just as long as its gradient needs it.
        """
        self._set_dropout_keys(batch.number)
        weights = [value for _, value in self._trainable()]
        positions, targets = _supervised(batch)

        def forward(*weights: mx.array) -> mx.array:
            self._model.update(tree_unflatten(list(zip(self._names, weights, strict=True))))
            return self._hidden(batch, positions)

        cotangent = mx.zeros((targets.size, self._width))
        mx.eval(cotangent)
        with attention.segments(batch.segments):  # here, since checkpointing builds a layer again in the backward pass
            (hidden,), gradient = mx.vjp(forward, weights, [cotangent])
        self._model.update(tree_unflatten(list(zip(self._names, weights, strict=True))))
        return _Passes(hidden, targets, cotangent, gradient)

    @property
    def _width(self) -> int:
        return int(self._model.args.hidden_size)

    def _hidden(self, batch: MicroBatch, positions: mx.array) -> mx.array:
        """The hidden states (n, width), float32, at `positions` (n,) of (rows * length)."""
        with attention.segments(batch.segments):
            states = self._model.model(mx.array(batch.ids[:, :-1]))
        return states.reshape(-1, self._width)[positions].astype(mx.float32)

    def apply(self, learning_rate: float) -> Update:
        """Divide by the supervised tokens, clip, step, forget; only forget if the update is not `finite`.

        Clipped is the norm over all that is trained, as https://arxiv.org/abs/1211.5063 has it.
        """
        gradient, loss, tokens, parts = self._summed()
        norm = math.sqrt(float(sum(mx.sum(mx.square(value)) for value in gradient))) / tokens
        update = Update(loss, tokens, norm)
        if not update.finite:
            return update
        self._batch_count += parts
        clip = self._recipe.train.gradient_clip
        factor = min(1.0, clip / (norm + 1e-6)) if clip else 1.0
        # Summed over the tokens so far: the mean, and the clipping, are one multiplication.
        named = [(name, value * (factor / tokens)) for name, value in zip(self._names, gradient, strict=True)]
        self._optimizer.learning_rate = learning_rate
        self._optimizer.update(self._model, tree_unflatten(named))
        mx.eval(self._model.trainable_parameters(), self._optimizer.state)
        return update

    def _summed(self) -> tuple[list[mx.array], float, int, int]:
        """Gradient, mean loss, tokens and micro-batches of all ranks; what this one accumulated is forgotten."""
        gradient = self._gradient
        if isinstance(self.group, MlxGroup):
            gradient = self.group.gradients(gradient or [mx.zeros_like(value) for _, value in self._trainable()])
        # After the gradients, since this one knows whether all ranks are there.
        loss, tokens, parts = self.group.sum([self._loss, self._tokens, self._parts])
        self._gradient, self._loss, self._tokens, self._parts = None, 0.0, 0, 0
        assert gradient is not None, "accumulate first"
        return gradient, loss / tokens, int(tokens), int(parts)

    def evaluate(self, parts: Sequence[MicroBatch]) -> tuple[float, int]:
        """Summed loss in nats, without dropout, and the count of supervised tokens."""
        self._switch_dropout_off()
        positions, targets = zip(*(_supervised(part) for part in parts), strict=True)
        with translated():
            hidden = self._streams.map(self._hidden, parts, positions)
            self._streams.evaluate(*hidden)
            loss = self._head.loss(_joined(hidden), _joined(targets), gradient=False)
        return loss.total, sum(part.supervised for part in parts)

    def stream(self, ids: Sequence[int], max_tokens: int, stops: set[int]) -> Iterator[int]:
        """Answer greedily, id by id; a stop id ends it and is the last one yielded."""
        self._switch_dropout_off()
        sampling = Sampling(max_tokens=max_tokens)
        for (token_id,) in decoding.decode(MlxRows(self._model, self._head), [ids], [0], sampling, stops):
            assert token_id is not None
            yield token_id

    def save(self, directory: Path) -> None:
        """Write what is trained, the optimizer and the random state."""
        if self._full:
            mx.save_safetensors(str(directory / full_model.WEIGHTS), dict(self._trainable()), {"format": "pt"})
        else:
            weights = {peft_adapter.to_disk(name, self._wrapped): value for name, value in self._trainable()}
            mx.save_safetensors(str(directory / peft_adapter.WEIGHTS), weights, {"format": "pt"})
            config = peft_adapter.config(self._recipe, self._layers, self._wrapped)
            (directory / peft_adapter.CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
        mx.save_safetensors(str(directory / OPTIMIZER), dict(_named(self._optimizer.state)))
        (directory / STATE).write_text(json.dumps({"draws": self._batch_count}), encoding="utf-8")

    def restore(self, directory: Path) -> None:
        """Take up what `save` wrote."""
        if self._full:
            self._model.update(tree_unflatten(list(_arrays(directory / full_model.WEIGHTS).items())))
        else:
            self.load(directory)
        self._optimizer.state = tree_unflatten(list(_arrays(directory / OPTIMIZER).items()))
        self._batch_count = json.loads((directory / STATE).read_text(encoding="utf-8"))["draws"]
        self._gradient, self._loss, self._tokens, self._parts = None, 0.0, 0, 0
        mx.eval(self._model.trainable_parameters(), self._optimizer.state)

    def load(self, directory: Path) -> None:
        """Take up an adapter in PEFT's layout."""
        saved = _arrays(directory / peft_adapter.WEIGHTS)
        self._model.update(tree_unflatten([(peft_adapter.from_disk(name), value) for name, value in saved.items()]))

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The logits (vocabulary,), float32, of what follows `ids`."""
        self._switch_dropout_off()
        states = self._model.model(mx.array([list(ids)]))
        return np.array(self._head.logits(states[0, -1:]).astype(mx.float32))[0]

    def full_logits_loss(self, parts: Sequence[MicroBatch]) -> float:
        """The mean loss of a batch with a fresh adapter (its `lora_b` is zero again afterwards), by whole logits.

        The softmax is summed in float64: MLX's CPU `logsumexp` adds 262,144 floats in a row and is off by 1e-4.
        """
        for adapter in self._adapters:
            adapter.lora_b = mx.zeros_like(adapter.lora_b)
        total = 0.0
        for part in parts:
            with attention.segments(part.segments):
                logits = np.array(self._model(mx.array(part.ids[:, :-1])).astype(mx.float32))
            for row, position in np.argwhere(part.weights[:, 1:] > 0):
                scores = logits[row, position].astype(np.float64)  # (vocabulary,)
                highest = scores.max()
                target = part.ids[row, position + 1]
                total += float(highest + np.log(np.exp(scores - highest).sum()) - scores[target])
        return total / sum(part.supervised for part in parts)

    def work(self) -> tuple[float, float]:
        """Operations for each token in the body, and for each supervised one in the head.

        Two a weight forward (a product and a sum), two for the gradient of the input; frozen weights need no more.
        """
        sizes = {name: value.size for name, value in _named(self._model.parameters())}
        head = sum(size for name, size in sizes.items() if "embed_tokens" in name or "lm_head" in name)
        return 4.0 * (sum(sizes.values()) - head), 4.0 * head

    def memory(self) -> Memory:
        """What the allocator says, in bytes; a call begins a new peak."""
        memory = Memory(int(mx.get_peak_memory()), int(mx.get_active_memory()), int(mx.get_cache_memory()))
        mx.reset_peak_memory()
        return memory

    def release(self) -> None:
        """Give the allocator's freed buffers back to the system."""
        mx.clear_cache()


def optimizer(train: TrainSpec) -> Any:
    """The optimizer of a recipe. MLX's AdamW corrects its bias only when asked (unlike torch's)."""
    if train.optimizer == "adamw":
        return optim.AdamW(train.learning_rate, weight_decay=train.weight_decay, bias_correction=True)
    if train.optimizer == "paged_adamw_8bit":
        raise RecipeError(
            "MLX has no paged_adamw_8bit.", "Set train.optimizer to adamw, or to adafactor for less memory."
        )
    if train.optimizer == "lion":
        return optim.Lion(train.learning_rate, weight_decay=train.weight_decay)
    return optim.Adafactor(
        train.learning_rate, weight_decay=train.weight_decay, relative_step=False, scale_parameter=False
    )


def _named(tree: Any) -> list[tuple[str, mx.array]]:
    return cast("list[tuple[str, mx.array]]", tree_flatten(tree))


def _arrays(path: Path) -> dict[str, mx.array]:
    return cast("dict[str, mx.array]", mx.load(str(path)))


def _joined(parts: Iterable[mx.array]) -> mx.array:
    return mx.concatenate(list(parts))


def _supervised(batch: MicroBatch) -> tuple[mx.array, mx.array]:
    """Flat positions in (rows * length) whose next token is supervised, and those next tokens' ids; both (n,) int32."""
    positions = np.flatnonzero(batch.weights[:, 1:].reshape(-1) > 0).astype(np.int32)
    return mx.array(positions), mx.array(batch.ids[:, 1:].reshape(-1)[positions])
