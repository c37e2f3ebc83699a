"""Several adapters over one linear layer, and rows of a batch that each use one of them, or none."""

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

    A row's own adapter is chosen between the two products, where the columns of all others are multiplied by 0: so any
    number of adapters, of any rank, takes two products, and no weight is copied or merged.
    """

    def __init__(self, linear: nn.Module, voices: int) -> None:
        super().__init__()
        self.linear = linear
        rows, columns = lora.sizes(linear)
        self.lora_a, self.lora_b = mx.zeros((0, columns)), mx.zeros((rows, 0))
        self._scales = mx.zeros((voices, 0))  # of each voice, for each column of rank
        self._stretches: mx.array | None = None  # DoRA's factors, (voices, out)
        self._scale: mx.array | None = None  # of the rows at hand, (rows, 1, ranks)
        self._stretch: mx.array | None = None  # (rows, 1, out)

    def add(self, voice: int, adapter: lora.LoraLinear) -> None:
        """Lay an adapter made for the same layer beside the others."""
        own = mx.zeros((len(self._scales), len(adapter.lora_a)))
        own[voice] = adapter.scale
        self.lora_a = mx.concatenate([self.lora_a, adapter.lora_a])
        self.lora_b = mx.concatenate([self.lora_b, adapter.lora_b], axis=1)
        self._scales = mx.concatenate([self._scales, own], axis=1)
        if isinstance(adapter, lora.DoraLinear):
            if self._stretches is None:
                self._stretches = mx.ones((len(self._scales), len(adapter.lora_b)))
            self._stretches[voice] = adapter.stretch()
        mx.eval(self.lora_a, self.lora_b, self._scales, self._stretches)

    def select(self, voices: mx.array | None) -> None:
        """The voice of each row of the batches to come (rows,); None if all are the base."""
        self._scale = None if voices is None else self._scales[voices][:, None]
        self._stretch = None if voices is None or self._stretches is None else self._stretches[voices][:, None]

    def __call__(self, x: mx.array) -> mx.array:
        """(rows, length, in) to (rows, length, out), in the dtype of `x`."""
        found: mx.array = self.linear(x)
        if self._scale is None:
            return found
        found = found + (((x @ self.lora_a.T) * self._scale) @ self.lora_b.T).astype(x.dtype)
        return found if self._stretch is None else found * self._stretch.astype(x.dtype)


def attach_adapters(text: Any, folders: Sequence[Path]) -> list[MultiLoraLinear]:
    """Lay the adapters in `folders`, voices from 1 on, over a text model; raises `ModelError` for one of another."""
    found: dict[str, MultiLoraLinear] = {}
    for voice, folder in enumerate(folders, 1):
        for name, part in peft_adapter.parts(folder).items():
            if name not in found:
                found[name] = _replaced(text, name, len(folders) + 1, folder)
            found[name].add(voice, _adapter(found[name].linear, part, folder, name))
    return list(found.values())


def _replaced(text: Any, name: str, voices: int, folder: Path) -> MultiLoraLinear:
    """The layer of that name, made one that can have several voices."""
    *path, last = name.split(".")
    block = text
    try:
        for part in path:
            block = block[int(part)] if part.isdigit() else block[part]
        linear = block[last]
    except (KeyError, IndexError, TypeError):
        linear = None
    if not isinstance(linear, nn.Linear | nn.QuantizedLinear):
        raise ModelError(
            f"The adapter in {folder} is for a layer that the model has not: {name}.", peft_adapter.OTHER_BASE
        )
    block[last] = MultiLoraLinear(linear, voices)
    return block[last]


def _adapter(linear: nn.Module, part: peft_adapter.Part, folder: Path, name: str) -> lora.LoraLinear:
    if not part.fits(*lora.sizes(linear)):
        raise ModelError(f"The adapter in {folder} does not fit the model at {name}.", peft_adapter.OTHER_BASE)
    kind = lora.LoraLinear if part.magnitude is None else lora.DoraLinear
    made = kind(linear, part.scale, 0.0, mx.array(part.lora_a))
    made.lora_b = mx.array(part.lora_b)
    if part.magnitude is not None:
        made.magnitude = mx.array(part.magnitude)
    return made
