"""accumulate, apply, evaluate, save, restore, stream: the MLX trainer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten
from numpy.typing import NDArray

from gemmalocal.backends import decoding, full_model, lora_init, peft_adapter
from gemmalocal.backends.mlx import attention, compute_path, device, lora, model, optimizers
from gemmalocal.backends.mlx.buffer_cache import BufferCache
from gemmalocal.backends.mlx.compiled_passes import CompiledPasses
from gemmalocal.backends.mlx.distributed import MlxGroup
from gemmalocal.backends.mlx.errors import translated
from gemmalocal.backends.mlx.generate import MlxRows
from gemmalocal.backends.mlx.loss import Head
from gemmalocal.backends.mlx.passes import EagerPasses, Network
from gemmalocal.backends.mlx.streams import Streams
from gemmalocal.backends.mlx.trainable import Trainable
from gemmalocal.backends.process_group import ALONE, Group
from gemmalocal.backends.protocol import Memory, Objective, Sampling, TokenIds, TokenValues, Update
from gemmalocal.data.batches import MicroBatch
from gemmalocal.errors import ModelError
from gemmalocal.recipe.schema import Recipe

OPTIMIZER, STATE = "optimizer.safetensors", "trainer.json"  # files of a checkpoint


def trainer(folder: Path, recipe: Recipe, group: Group = ALONE) -> MlxTrainer:
    """Load the weights in `folder` and attach a fresh adapter."""
    with translated():
        return MlxTrainer(folder, recipe, group)


def _flat(recipe: Recipe) -> bool:
    """Whether all that is trained is one vector.

    A full fine-tune goes array by array: so its weights and gradients are not in memory twice.
    """
    elementwise = recipe.train.optimizer in optimizers.ELEMENTWISE
    return compute_path.current().compiled and recipe.method != "full" and elementwise


class MlxTrainer:
    """A Gemma, of which an adapter or all is trained, and an optimizer."""

    def __init__(self, folder: Path, recipe: Recipe, group: Group) -> None:
        self.shapes, self.group = device.shapes(), group
        self._recipe, self._full = recipe, recipe.method == "full"
        self._model, self._wrapped = model.load(folder, recipe.weight_dtype, recipe.bits)
        self._layers, self._adapters = self._prepare_layers(_flat(recipe) and compute_path.current().grouped)
        self._begin()
        self._cache = BufferCache()

    def _begin(self) -> None:
        """What is trained as it lies there now, an optimizer of its own, and the passes over both."""
        recipe, flat, path = self._recipe, _flat(self._recipe), compute_path.current()
        streams = Streams(self.shapes.streams)
        self._trainable = Trainable(self._model, by_kind=flat)
        self._head = Head(self._model, self._full)
        self._network = Network(self._model, self._head, self._adapters, self._trainable, recipe.teacher.temperature)
        arrays = self._trainable.arrays
        self._updater = optimizers.Updater(recipe.train, self._trainable.names, arrays, flat, path.compiled)
        self._passes: EagerPasses | CompiledPasses = EagerPasses(self._network, streams)
        if self._updater.layout:
            self._passes = CompiledPasses(self._network, self._updater.layout, self._vector)
        self._batch_count = 0  # micro-batches of all steps so far: with the seed, the whole random state
        self._forget()
        mx.eval(self._model.parameters())

    def renew(self, recipe: Recipe) -> bool:
        """Begin anew over the same weights, if the adapter lies at the same places."""
        if not lora_init.same_places(self._recipe, recipe) or _flat(self._recipe) != _flat(recipe):
            return False
        with translated():
            self._recipe = recipe
            for adapter in self._adapters:
                adapter.renew(recipe.lora, recipe.train.seed)
            self._begin()
        return True

    def _prepare_layers(self, together: bool) -> tuple[list[int], list[lora.LoraLinear]]:
        """Unfreeze what is trained; the numbers of the adapted layers, and their adapters."""
        recipe, layers = self._recipe, self._model.model.layers
        numbers = lora_init.adapted_layers(recipe.lora, len(layers))
        adapted = {index: layers[index] for index in numbers}
        adapters: list[lora.LoraLinear] = []
        if self._full:
            model.unfreeze_all(self._model, self._wrapped)
        else:
            model.fold_norms(self._model)
            adapters = lora.attach_lora(adapted, recipe.lora, recipe.train.seed, recipe.method == "dora", together)
        for adapter in adapters:
            adapter.unfreeze(keys=["lora_a", "lora_b", "magnitude"], recurse=False)
        if recipe.train.checkpointing is True:
            model.checkpoint_layers(list(adapted.values()))
        return numbers, adapters

    def _forget(self) -> None:
        """Begin a step: nothing is accumulated."""
        self._gradient: list[mx.array] = []  # as the updater has it
        self._loss: float | mx.array = 0.0
        self._tokens: float = 0
        self._weight = 0.0  # of these tokens
        self._parts: float = 0

    def accumulate(
        self,
        parts: Sequence[MicroBatch],
        objective: Objective | None = None,
        choices: Sequence[TokenIds] | None = None,
    ) -> None:
        """Add the summed loss and gradient of micro-batches that run side by side, one on each stream."""
        keys = [self._dropout_keys(part.number) for part in parts]
        with translated():
            loss, gradient = self._passes(parts, keys, objective, choices)
            if self._gradient:
                gradient = [added + part for added, part in zip(self._gradient, gradient, strict=True)]
            previous, self._gradient, self._loss = self._loss, gradient, self._loss + loss
            mx.async_eval(self._gradient, self._loss)
            mx.eval(previous)  # the next is handed over before this one is waited for, and never more
        self._tokens += sum(part.supervised for part in parts)
        self._weight += sum(part.weight for part in parts)
        self._parts += len(parts)

    def _vector(self) -> mx.array:
        return self._updater.joined(self._trainable.arrays)[0]

    def _dropout_keys(self, number: int) -> mx.array:
        """A key for each adapter, by the seed and the micro-batch's number among all: whoever computes it."""
        batch_key = mx.random.key(self._recipe.train.seed * 1_000_003 + self._batch_count + number)
        return mx.random.split(batch_key, max(1, len(self._adapters)))[: len(self._adapters)]

    def apply(self, learning_rate: float, count: float | None = None) -> Update:
        """Divide by `count` (None: the tokens' weights), clip, step, forget; only forget if it is not `finite`."""
        with translated():
            return self._apply(learning_rate, count)

    def _apply(self, learning_rate: float, count: float | None) -> Update:
        gradient, summed_loss, tokens, weight, parts = self._summed()
        divisor = weight if count is None else count
        loss = summed_loss / divisor
        norm = self._updater.norm(gradient, divisor)
        if not self._updater.compiled and not Update(float(loss), tokens, float(norm)).finite:
            return Update(float(loss), tokens, float(norm))
        parameters = self._updater.joined(self._trainable.arrays)
        stepped = self._updater.step(parameters, gradient, norm, mx.array(loss), divisor, learning_rate)
        self._trainable.update(self._updater.separate(stepped))
        mx.eval(norm, loss, self._trainable.arrays, self._updater.arrays)  # the one wait
        update = Update(float(loss), tokens, float(norm))
        self._batch_count += parts * update.finite
        return update

    def _summed(self) -> tuple[list[mx.array], float | mx.array, int, float, int]:
        """Gradient, loss, tokens, their weights and micro-batches of all ranks; what was accumulated is forgotten."""
        gradient, loss = self._gradient, self._loss
        tokens, weight, parts = self._tokens, self._weight, self._parts
        if isinstance(self.group, MlxGroup):
            zeros = [mx.zeros_like(array) for array in self._updater.joined(self._trainable.arrays)]
            gradient = self.group.gradients(gradient or zeros)
            # After the gradients, since this one knows whether all ranks are there.
            loss, tokens, weight, parts = self.group.sum([float(loss), tokens, weight, parts])
        self._forget()
        assert gradient, "accumulate first"
        return gradient, loss, int(tokens), weight, int(parts)

    def evaluate(self, parts: Sequence[MicroBatch]) -> tuple[float, float]:
        """Summed loss in nats, without dropout, and summed weights of tokens."""
        with translated():
            loss = self._passes.loss(parts)
        return loss, sum(part.weight for part in parts)

    def log_probabilities(
        self, parts: Sequence[MicroBatch], dropout: bool = False, choices: Sequence[TokenIds] | None = None
    ) -> list[TokenValues]:
        """Of the supervised tokens of micro-batches, or of the ids chosen for them, in nats."""
        keys = [self._dropout_keys(part.number) for part in parts] if dropout else None
        with translated():
            return [-nats for nats in self._passes.nats(parts, keys, choices)]

    def stream(self, ids: Sequence[int], max_tokens: int, stops: set[int]) -> Iterator[int]:
        """Answer greedily, id by id; a stop id ends it and is the last one yielded."""
        for (token_id,) in self.answer([ids], Sampling(max_tokens=max_tokens), stops):
            assert token_id is not None
            yield token_id

    def answer(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, stops: set[int]
    ) -> Iterator[list[int | None]]:
        """Answer all prompts at once, without dropout."""
        self._network.switch_dropout_off()
        voices = [0] * len(prompts)
        yield from decoding.decode(MlxRows(self._model, self._head, (), voices), prompts, voices, sampling, stops)

    def save(self, directory: Path) -> None:
        """Write what is trained, the optimizer and the random state."""
        named = self._trainable.named
        with translated():
            if self._full:
                mx.save_safetensors(str(directory / full_model.WEIGHTS), named, {"format": "pt"})
            else:
                by_projection = self._trainable.by_projection(named)
                weights = {peft_adapter.to_disk(name, self._wrapped): value for name, value in by_projection.items()}
                mx.save_safetensors(str(directory / peft_adapter.WEIGHTS), weights, {"format": "pt"})
                config = peft_adapter.config(self._recipe, self._layers, self._wrapped)
                (directory / peft_adapter.CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
            states = self._trainable.by_projection(self._updater.state())
            mx.save_safetensors(str(directory / OPTIMIZER), states)
        (directory / STATE).write_text(json.dumps({"draws": self._batch_count}), encoding="utf-8")

    def restore(self, directory: Path) -> None:
        """Take up what `save` wrote; raises `ModelError` for what another engine wrote."""
        if not (directory / STATE).is_file():
            raise ModelError("This run was trained by another engine.", "Resume it with the backend it began with.")
        if self._full:
            self._model.update(tree_unflatten(list(_arrays(directory / full_model.WEIGHTS).items())))
        else:
            self.load(directory)
        self._updater.restore(self._trainable.together(_arrays(directory / OPTIMIZER)))
        self._batch_count = json.loads((directory / STATE).read_text(encoding="utf-8"))["draws"]
        self._forget()
        mx.eval(self._trainable.arrays, self._updater.arrays)

    def load(self, directory: Path) -> None:
        """Take up an adapter in PEFT's layout; raises `ModelError` for one of other projections."""
        saved = _arrays(directory / peft_adapter.WEIGHTS)
        named = {peft_adapter.from_disk(name): value for name, value in saved.items()}
        peft_adapter.check_complete(named, self._trainable.by_projection(self._trainable.named))
        self._model.update(tree_unflatten(list(self._trainable.together(named).items())))

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The logits (vocabulary,), float32, of what follows `ids`."""
        self._network.switch_dropout_off()
        states = self._model.model(mx.array([list(ids)]))
        return np.array(self._head.logits(states[0, -1:]).astype(mx.float32))[0]

    def full_logits_loss(self, parts: Sequence[MicroBatch]) -> float:
        """The mean loss of a batch with a fresh adapter (its `lora_b` is zero again afterwards), by whole logits.

        The softmax is summed in float64: MLX's CPU `logsumexp` adds 262,144 floats in a row and is off by 1e-4.
        """
        self._network.switch_dropout_off()
        for adapter in self._adapters:
            adapter.lora_b = mx.zeros_like(adapter.lora_b)
        total = 0.0
        for part in parts:
            with attention.segments(part.segments, part.prefixes):
                logits = np.array(self._model(mx.array(part.ids[:, :-1])).astype(mx.float32))
            for place, target in zip(*part.predictions(), strict=True):
                scores = logits.reshape(-1, logits.shape[-1])[place].astype(np.float64)  # (vocabulary,)
                highest = scores.max()
                total += float(highest + np.log(np.exp(scores - highest).sum()) - scores[target])
        return total / sum(part.supervised for part in parts)

    def work(self) -> tuple[float, float]:
        """Operations for each token in the body, and for each supervised one in the head.

        Two a weight forward (a product and a sum), two for the gradient of the input; frozen weights need no more.
        """
        parameters = cast("list[tuple[str, mx.array]]", tree_flatten(self._model.parameters()))
        sizes = {name: value.size for name, value in parameters}
        head = sum(size for name, size in sizes.items() if "embed_tokens" in name or "lm_head" in name)
        return 4.0 * (sum(sizes.values()) - head), 4.0 * head

    def memory(self) -> Memory:
        """What the allocator says, in bytes; a call begins a new peak."""
        active = int(mx.get_active_memory())
        memory = Memory(max(active, int(mx.get_peak_memory())), active, int(mx.get_cache_memory()))
        mx.reset_peak_memory()
        self._cache.follow(memory)
        return memory

    def release(self) -> None:
        """Give the allocator's freed buffers back to the system."""
        self._cache.forget()
        mx.clear_cache()


def _arrays(path: Path) -> dict[str, mx.array]:
    return cast("dict[str, mx.array]", mx.load(str(path)))
