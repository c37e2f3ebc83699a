"""Several adapters over one linear layer, and rows of a batch that each use one of them, or none.

As Punica (https://arxiv.org/abs/2310.18547) and S-LoRA (https://arxiv.org/abs/2311.03285) do it, without their kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from gemmalocal.backends import peft_adapter
from gemmalocal.backends.mlx import lora
from gemmalocal.errors import ModelError


class MultiLoraLinear(nn.Module):
    """A frozen linear layer under adapters that lie side by side: `lora_a` (ranks, in), `lora_b` (out, ranks).

    `ranks` is the sum of the adapters' ranks. A row's own adapter is chosen between the two products, where the columns
    of all others are multiplied by 0: so any number of adapters, of any rank, takes two products, and no weight is
    copied or merged. Voice 0 is the base, voice k the k-th adapter.
    """

    def __init__(self, linear: nn.Module, voices: int) -> None:
        super().__init__()
        self.linear = linear
        outputs, inputs = lora.linear_shape(linear)
        self.lora_a, self.lora_b = mx.zeros((0, inputs)), mx.zeros((outputs, 0))
        self._scales = mx.zeros((voices, 0))  # of each voice, for each column of rank: (voices, ranks)
        self._output_excesses: mx.array | None = None  # DoRA's factors, less 1, (voices, out)
        self._scale: mx.array | None = None  # of the rows at hand, (rows, 1, ranks)
        self._output_excess: mx.array | None = None  # (rows, 1, out)

    def add(self, voice: int, adapter: lora.LoraLinear) -> None:
        """Lay an adapter made for the same layer beside the others."""
        scales = mx.zeros((len(self._scales), len(adapter.lora_a)))  # (voices, its rank)
        scales[voice] = adapter.scale
        self.lora_a = mx.concatenate([self.lora_a, adapter.lora_a])
        self.lora_b = mx.concatenate([self.lora_b, adapter.lora_b], axis=1)
        self._scales = mx.concatenate([self._scales, scales], axis=1)
        if isinstance(adapter, lora.DoraLinear):
            if self._output_excesses is None:
                self._output_excesses = mx.zeros((len(self._scales), len(adapter.lora_b)))
            self._output_excesses[voice] = adapter.output_excess()
        mx.eval(self.lora_a, self.lora_b, self._scales, self._output_excesses)

    def select(self, voices: mx.array | None) -> None:
        """The voice of each row of the batches to come (rows,); None if all are the base."""
        self._scale = None if voices is None else self._scales[voices][:, None]
        self._output_excess = (
            None if voices is None or self._output_excesses is None else self._output_excesses[voices][:, None]
        )

    def __call__(self, x: mx.array) -> mx.array:
        """(rows, length, in) to (rows, length, out), in the dtype of `x`."""
        output: mx.array = self.linear(x)
        if self._scale is None:
            return output
        # (rows, length, ranks), 0 in the columns of other voices
        low_rank = (x @ self.lora_a.astype(x.dtype).T) * self._scale.astype(x.dtype)
        output = mx.addmm(output, low_rank, self.lora_b.astype(x.dtype).T)
        return output if self._output_excess is None else output + output * self._output_excess.astype(x.dtype)


def attach_adapters(language_model: Any, folders: Sequence[Path]) -> list[MultiLoraLinear]:
    """Lay the adapters in `folders`, voices from 1 on, over a model; raises `ModelError` for one of another."""
    layers: dict[str, MultiLoraLinear] = {}
    for voice, folder in enumerate(folders, 1):
        for name, part in peft_adapter.parts(folder).items():
            if name not in layers:
                layers[name] = _replace(language_model, name, len(folders) + 1, folder)
            layers[name].add(voice, _adapter(layers[name].linear, part, folder, name))
    return list(layers.values())


def _replace(language_model: Any, name: str, voices: int, folder: Path) -> MultiLoraLinear:
    """Put a layer that can have several voices where the one of that dotted name is, and return it."""
    *path, last = name.split(".")
    block = language_model
    try:
        for key in path:
            block = block[int(key)] if key.isdigit() else block[key]
        linear = block[last]
    except (KeyError, IndexError, TypeError):
        linear = None
    if not isinstance(linear, nn.Linear | nn.QuantizedLinear):
        raise ModelError(
            f"The adapter in {folder} is for a layer that this model does not have: {name}.", peft_adapter.OTHER_BASE
        )
    block[last] = MultiLoraLinear(linear, voices)
    return block[last]


def _adapter(linear: nn.Module, part: peft_adapter.Part, folder: Path, name: str) -> lora.LoraLinear:
    if not part.fits(*lora.linear_shape(linear)):
        raise ModelError(f"The adapter in {folder} does not fit the model at {name}.", peft_adapter.OTHER_BASE)
    adapter_class = lora.LoraLinear if part.magnitude is None else lora.DoraLinear
    adapter = adapter_class(linear, part.scale, 0.0, mx.array(part.lora_a))
    adapter.lora_b = mx.array(part.lora_b)
    if part.magnitude is not None:
        adapter.magnitude = mx.array(part.magnitude)
    return adapter
