"""accumulate, apply, evaluate, save, restore, stream: the torch trainer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gemmalocal.backends import decoding, full_model, lora_init, peft_adapter
from gemmalocal.backends.process_group import ALONE, Group
from gemmalocal.backends.protocol import Memory, Objective, Sampling, TokenIds, TokenValues, Update, of_each
from gemmalocal.backends.torch import attention, cpu_memory, device, frozen_linear, lora, model, optimizers
from gemmalocal.backends.torch.distributed import TorchGroup
from gemmalocal.backends.torch.errors import translated
from gemmalocal.backends.torch.generate import TorchRows
from gemmalocal.backends.torch.loss import Head
from gemmalocal.data.batches import MicroBatch
from gemmalocal.errors import ModelError
from gemmalocal.recipe.schema import Recipe

OPTIMIZER, STATE = "optimizer.torch.safetensors", "trainer.torch.json"


class _Packed(NamedTuple):
    """Rows one after the other: `ids` and `positions` (1, tokens), `rows` their lengths.

    `places` (n,) are those tokens whose next one is supervised, `targets` (n,) these next ones, `weights` (n,) theirs,
    None where all are 1.
    """

    ids: Tensor
    positions: Tensor
    row_lengths: list[int]
    places: Tensor
    targets: Tensor
    weights: Tensor | None


def trainer(folder: Path, recipe: Recipe, group: Group = ALONE) -> TorchTrainer:
    """Load the weights in `folder` and attach a fresh adapter; raises `ModelError`, `OutOfMemory`, `RecipeError`."""
    with translated():
        return TorchTrainer(folder, recipe, group)


class TorchTrainer:
    """A Gemma, of which an adapter or all is trained, and an optimizer."""

    def __init__(self, folder: Path, recipe: Recipe, group: Group) -> None:
        self.shapes, self.group = device.shapes(), group
        self._device = device.current()
        frozen_linear.require_quantizer(recipe.bits)
        self._resident = cpu_memory.Resident()
        cpu_memory.limit_primitive_caches()
        self._recipe, self._full = recipe, recipe.method == "full"
        precision = device.here(recipe.weight_dtype)
        self._model, self._wrapped = model.load(folder, precision, self._device, recipe.bits)
        layers = self._model.model.layers
        self._layers = lora_init.adapted_layers(recipe.lora, len(layers))
        adapted = {index: layers[index] for index in self._layers}
        self._adapters: list[lora.LoraLinear] = []
        if self._full:
            model.unfreeze_all(self._model, self._wrapped)
        else:
            self._adapters = lora.attach_lora(adapted, recipe.lora, recipe.train.seed, recipe.method == "dora")
        if recipe.train.checkpointing is True:
            model.checkpoint_layers(list(adapted.values()))
            cpu_memory.free_at_once()
        self._head = Head(self._model, self._full)
        self._temperature = recipe.teacher.temperature
        self._tempered = self._head.tempered(self._temperature)
        self._begin()

    def _begin(self) -> None:
        """What is trained as it lies there now, and an optimizer of its own."""
        trainable = [(name, weight) for name, weight in self._model.named_parameters() if weight.requires_grad]
        self._names: list[str] = [name for name, _ in trainable]
        self._weights: list[nn.Parameter] = [weight for _, weight in trainable]
        self._optimizer = optimizers.optimizer(self._weights, self._recipe.train)
        self._batch_count = 0  # micro-batches of all steps so far: with the seed, the whole random state
        self._nats, self._tokens, self._weight, self._parts = list[Tensor](), 0, 0.0, 0

    def renew(self, recipe: Recipe) -> bool:
        """Begin anew over the same weights, if the adapter lies at the same places."""
        if not lora_init.same_places(self._recipe, recipe):
            return False
        with translated():
            self._recipe = recipe
            for adapter in self._adapters:
                adapter.renew(recipe.lora, recipe.train.seed)
            self._begin()
        return True

    def accumulate(
        self,
        parts: Sequence[MicroBatch],
        objective: Objective | None = None,
        choices: Sequence[TokenIds] | None = None,
    ) -> None:
        """Add the summed loss and gradient of micro-batches, one after the other unless an objective couples them."""
        with translated():
            if objective is not None:
                self._accumulate_by(objective, parts, choices)
            for part in parts if objective is None else []:
                # The head gives loss and gradient (n, width) at once; backward goes on with it through the layers.
                hidden, packed = self._forward(part)
                loss = self._head.loss(hidden.detach(), packed.targets, weights=packed.weights)
                hidden.backward(loss.hidden_gradient)
                self._nats.append(loss.nats if packed.weights is None else loss.nats * packed.weights)
            self._tokens += sum(part.supervised for part in parts)
            self._weight += sum(part.weight for part in parts)
            self._parts += len(parts)

    def _accumulate_by(
        self, objective: Objective, parts: Sequence[MicroBatch], choices: Sequence[TokenIds] | None
    ) -> None:
        """The forward passes of all parts are kept until the slopes are known."""
        forward = [self._forward(part, ids) for part, ids in zip(parts, of_each(parts, choices), strict=True)]
        # A trained head's own gradient is a sum over rows, which must be weighted first: it is asked twice.
        head = self._head if choices is None else self._tempered
        trained = head.trained
        scores = [head.scores(hidden.detach(), part.targets, gradient=not trained) for hidden, part in forward]
        total, slopes = objective([-of_part.nats.cpu().numpy() for of_part in scores])
        for (hidden, part), of_part, slope in zip(forward, scores, slopes, strict=True):
            weights = device.placed(-slope.astype(np.float32), self._device)
            if trained:
                hidden.backward(head.loss(hidden.detach(), part.targets, weights=weights).hidden_gradient)
            else:
                hidden.backward(of_part.gradient(weights))
        self._nats.append(torch.tensor([total], dtype=torch.float64))

    def _forward(self, part: MicroBatch, choices: TokenIds | None = None) -> tuple[Tensor, _Packed]:
        """Hidden states (n, width), with their graph, and what they should predict."""
        self._set_dropout_seeds(part.number)
        packed = self._packed(part, choices)
        return self._hidden(packed), packed

    def _set_dropout_seeds(self, number: int) -> None:
        """A seed for each adapter, by the recipe's and the micro-batch's number among all: whoever computes it."""
        first_seed = (self._recipe.train.seed * 1_000_003 + self._batch_count + number) * max(1, len(self._adapters))
        for index, adapter in enumerate(self._adapters):
            adapter.set_dropout_seed(first_seed + index)

    def _switch_dropout_off(self) -> None:
        for adapter in self._adapters:
            adapter.set_dropout_seed(None)

    def _packed(self, batch: MicroBatch, choices: TokenIds | None = None) -> _Packed:
        """Each row up to its last supervised token: what comes later, padding included, changes nothing."""
        supervised = batch.weights[:, 1:] > 0
        # (rows, length) masks: of each row, the positions up to its last supervised one are kept, and laid end to end.
        row_lengths = (supervised * np.arange(1, supervised.shape[1] + 1)).max(axis=1)
        kept = np.arange(supervised.shape[1]) < row_lengths[:, None]
        arrays = (
            batch.ids[:, :-1][kept],
            np.nonzero(kept)[1],
            np.flatnonzero(supervised[kept]),
            batch.ids[:, 1:][supervised] if choices is None else choices,
        )
        ids, positions, places, targets = (device.placed(array.astype(np.int64), self._device) for array in arrays)
        token_weights = batch.token_weights
        weights = None if (token_weights == 1).all() else device.placed(token_weights, self._device)
        lengths = [int(length) for length in row_lengths if length]
        return _Packed(ids[None], positions[None], lengths, places, targets, weights)

    def _hidden(self, packed: _Packed) -> Tensor:
        """The hidden states (n, width), float32, where the next token is supervised; as `_tempered` takes them."""
        with device.trained_products() if self._full else nullcontext():
            states: Tensor = self._model.model(
                input_ids=packed.ids, position_ids=packed.positions, use_cache=False, row_lengths=packed.row_lengths
            ).last_hidden_state
        hidden = states[0].index_select(0, packed.places).float()
        return hidden if packed.targets.ndim == 1 or self._temperature == 1 else hidden / self._temperature

    def apply(self, learning_rate: float, count: float | None = None) -> Update:
        """Divide by `count` (None: the tokens' weights), clip, step, forget; only forget if it is not `finite`.

        Clipped is the norm over all that is trained, as https://arxiv.org/abs/1211.5063 has it.
        """
        with translated():
            gradient, loss, tokens, weight, parts = self._summed()
            divisor = weight if count is None else count
            norm = float(torch.nn.utils.get_total_norm(gradient)) / divisor
            update = Update(loss / divisor, tokens, norm)
            if update.finite:
                self._batch_count += parts
                self._step(gradient, divisor, norm, learning_rate)
            self._forget()
        return update

    def _step(self, gradient: list[Tensor], count: float, norm: float, learning_rate: float) -> None:
        """Let the optimizer step by a gradient that is a sum of so many, clipped by its mean's `norm`."""
        clip = self._recipe.train.gradient_clip
        factor = min(1.0, clip / (norm + 1e-6)) if clip else 1.0
        torch._foreach_mul_(gradient, factor / count)  # the mean, and the clipping, are one multiplication
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()

    @property
    def _loss(self) -> float:
        """Summed, of what was accumulated."""
        return device.summed(self._nats)

    def _summed(self) -> tuple[list[Tensor], float, int, float, int]:
        """Gradient, loss, tokens, their weights and micro-batches of all ranks."""
        loss, tokens, weight, parts = self.group.sum([self._loss, self._tokens, self._weight, self._parts])
        assert tokens, "accumulate first"
        if isinstance(self.group, TorchGroup):
            self.group.gradients(self._weights)
        gradient = [weight.grad for weight in self._weights if weight.grad is not None]
        return gradient, loss, int(tokens), weight, int(parts)

    def _forget(self) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        self._nats, self._tokens, self._weight, self._parts = list[Tensor](), 0, 0.0, 0

    def evaluate(self, parts: Sequence[MicroBatch]) -> tuple[float, float]:
        """Summed loss in nats, without dropout, and summed weights of tokens."""
        with translated():
            by_part = zip(self._nats_of(parts, dropout=False), parts, strict=True)
            total = device.summed([nats * device.placed(part.token_weights, self._device) for nats, part in by_part])
        return total, sum(part.weight for part in parts)

    def log_probabilities(
        self, parts: Sequence[MicroBatch], dropout: bool = False, choices: Sequence[TokenIds] | None = None
    ) -> list[TokenValues]:
        """Of the supervised tokens of micro-batches, or of the ids chosen for them, in nats."""
        with translated():
            return [-nats.cpu().numpy() for nats in self._nats_of(parts, dropout, choices)]

    @torch.no_grad()
    def _nats_of(
        self, parts: Sequence[MicroBatch], dropout: bool, choices: Sequence[TokenIds] | None = None
    ) -> list[Tensor]:
        """The loss of each supervised token, (n,), or of the ids chosen for it, (n, k), of each part."""
        nats, head = [], self._head if choices is None else self._tempered
        for part, ids in zip(parts, of_each(parts, choices), strict=True):
            if dropout:
                self._set_dropout_seeds(part.number)
            else:
                self._switch_dropout_off()
            packed = self._packed(part, ids)
            nats.append(head.loss(self._hidden(packed), packed.targets, gradient=False).nats)
        return nats

    def stream(self, ids: Sequence[int], max_tokens: int, stops: set[int]) -> Iterator[int]:
        """Answer greedily, id by id; a stop id ends it and is the last one yielded."""
        for (token_id,) in self.answer([ids], Sampling(max_tokens=max_tokens), stops):
            assert token_id is not None
            yield token_id

    def answer(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, stops: set[int]
    ) -> Iterator[list[int | None]]:
        """Answer all prompts at once, without dropout."""
        self._switch_dropout_off()
        voices = [0] * len(prompts)
        yield from decoding.decode(TorchRows(self._model, self._head, (), voices), prompts, voices, sampling, stops)

    def save(self, directory: Path) -> None:
        """Write what is trained, the optimizer and the random state."""
        with translated():
            self._save(directory)

    def _save(self, directory: Path) -> None:
        named = {name: weight.detach().contiguous() for name, weight in zip(self._names, self._weights, strict=True)}
        if self._full:
            save_file(named, directory / full_model.WEIGHTS, {"format": "pt"})
        else:
            weights = {peft_adapter.to_disk(name, self._wrapped): value for name, value in named.items()}
            save_file(weights, directory / peft_adapter.WEIGHTS, {"format": "pt"})
            config = peft_adapter.config(self._recipe, self._layers, self._wrapped)
            (directory / peft_adapter.CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
        arrays, numbers = optimizers.state(self._optimizer, self._names, self._weights)
        save_file(arrays, directory / OPTIMIZER)
        state = {"draws": self._batch_count, "optimizer": numbers}
        (directory / STATE).write_text(json.dumps(state), encoding="utf-8")

    def restore(self, directory: Path) -> None:
        """Take up what `save` wrote; raises `ModelError` for what another engine wrote."""
        if not (directory / STATE).is_file():
            raise ModelError("This run was trained by another engine.", "Resume it with the backend it began with.")
        state = json.loads((directory / STATE).read_text(encoding="utf-8"))
        with translated():
            if self._full:
                self._copy_weights(load_file(directory / full_model.WEIGHTS))
            else:
                self.load(directory)
            arrays = load_file(directory / OPTIMIZER)
            optimizers.restore(self._optimizer, self._names, self._weights, arrays, state["optimizer"])
        self._batch_count = state["draws"]
        self._forget()

    def load(self, directory: Path) -> None:
        """Take up an adapter in PEFT's layout; raises `ModelError` for one of other projections."""
        with translated():
            saved = load_file(directory / peft_adapter.WEIGHTS)
            named = {peft_adapter.from_disk(name): value for name, value in saved.items()}
            peft_adapter.check_complete(named, self._names)
            self._copy_weights(named)

    @torch.no_grad()
    def _copy_weights(self, saved: dict[str, Tensor]) -> None:
        by_name = dict(zip(self._names, self._weights, strict=True))
        for name, value in saved.items():
            by_name[name].copy_(value)

    @torch.no_grad()
    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The logits (vocabulary,), float32, of what follows `ids`."""
        self._switch_dropout_off()
        with translated():
            inputs = torch.tensor([list(ids)], device=self._device)
            states = self._model.model(input_ids=inputs, use_cache=False, row_lengths=[len(ids)]).last_hidden_state
            logits: NDArray[np.float32] = self._head.logits(states[0, -1:].float())[0].cpu().numpy()
        return logits

    @torch.no_grad()
    def full_logits_loss(self, parts: Sequence[MicroBatch]) -> float:
        """The mean loss of a batch with a fresh adapter (its `lora_b` is zero again afterwards), by whole logits.

        Rows are padded, and transformers' own attention is asked.
        """
        for adapter in self._adapters:
            adapter.lora_b.zero_()
        self._switch_dropout_off()
        self._model.config._attn_implementation = "eager"
        total = 0.0
        for part in parts:
            ids = torch.from_numpy(part.ids.astype(np.int64)).to(self._device)
            states = self._model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
            supervised = torch.from_numpy(part.weights[:, 1:] > 0).to(self._device)
            logits = self._head.logits(states[supervised].float())
            total += float(F.cross_entropy(logits, ids[:, 1:][supervised], reduction="sum"))
        self._model.config._attn_implementation = attention.NAME
        return total / sum(part.supervised for part in parts)

    def work(self) -> tuple[float, float]:
        """Operations for each token in the body, and for each supervised one in the head.

        Two a weight forward (a product and a sum), two for the gradient of the input; frozen weights need no more.
        """
        head = self._model.lm_head.weight.numel()
        linear = (nn.Linear, frozen_linear.FrozenLinear)
        layers = [module for module in self._model.model.modules() if isinstance(module, linear)]
        body = sum(module.in_features * module.out_features for module in layers)
        body += sum(weight.numel() for weight in self._weights) if not self._full else 0
        return 4.0 * body, 4.0 * head

    def memory(self) -> Memory:
        """What the allocator says, or on the CPU the system, in bytes; a call begins a new peak."""
        if self._device.type == "mps":  # which tells no peak; what the driver holds is the most that was met
            active, held = torch.mps.current_allocated_memory(), torch.mps.driver_allocated_memory()
            return Memory(held, active, held - active)
        if self._device.type == "cpu":
            return self._resident()
        active, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
        memory = Memory(torch.cuda.max_memory_allocated(), active, reserved - active)
        torch.cuda.reset_peak_memory_stats()
        return memory

    def release(self) -> None:
        """Give the allocator's freed buffers back to the system."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        elif self._device.type == "mps":
            torch.mps.empty_cache()
        cpu_memory.release()
