"""Several adapters over one linear layer, and tokens that each use one of them, or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gemmalocal.backends import peft_adapter
from gemmalocal.backends.torch import lora
from gemmalocal.backends.torch.frozen_linear import FrozenLinear, product
from gemmalocal.errors import ModelError


class MultiLoraLinear(nn.Module):
    """A frozen linear layer under adapters that lie side by side: `lora_a` (ranks, in), `lora_b` (out, ranks).

    A token's own adapter is chosen between the two products, where the columns of all others are multiplied by 0: so
    any number of adapters, of any rank, takes two products, and no weight is copied or merged.
    """

    def __init__(self, linear: lora.Linear, voices: int, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self.linear = linear
        self.lora_a = torch.zeros(0, linear.in_features, dtype=dtype, device=device)
        self.lora_b = torch.zeros(linear.out_features, 0, dtype=dtype, device=device)
        self._scales = torch.zeros(voices, 0, dtype=dtype, device=device)  # of each voice, for each column of rank
        self._output_scales: Tensor | None = None  # DoRA's factors, (voices, out), float32
        self._scale: Tensor | None = None  # of the tokens at hand, (tokens, ranks)
        self._output_scale: Tensor | None = None  # (tokens, out)

    @torch.no_grad()
    def add(self, voice: int, part: peft_adapter.Part) -> None:
        """Lay an adapter's part for this layer beside the others."""
        lora_a, lora_b = (torch.from_numpy(matrix).to(self.lora_a.device) for matrix in (part.lora_a, part.lora_b))
        scales = self._scales.new_zeros(len(self._scales), len(lora_a))
        scales[voice] = part.scale
        self._scales = torch.cat([self._scales, scales], 1)
        # Its columns of rank come behind those of the adapters before it; in the other voices' rows their scale is 0.
        self.lora_a = torch.cat([self.lora_a, lora_a.to(self.lora_a.dtype)])
        self.lora_b = torch.cat([self.lora_b, lora_b.to(self.lora_b.dtype)], 1)
        if part.magnitude is not None:
            if self._output_scales is None:
                shape = len(self._scales), len(self.lora_b)
                self._output_scales = torch.ones(shape, device=lora_b.device)
            dora = lora.DoraLinear(self.linear, part.scale, 0.0, lora_a)
            dora.lora_b.copy_(lora_b)
            dora.magnitude.copy_(torch.from_numpy(part.magnitude))
            self._output_scales[voice] = dora.output_scale()

    def select(self, voices: Tensor | None) -> None:
        """The voice of each token of the passes to come (tokens,); None if all are the base."""
        self._scale = None if voices is None else self._scales[voices]
        self._output_scale = None if voices is None or self._output_scales is None else self._output_scales[voices]

    def forward(self, x: Tensor) -> Tensor:
        """(1, tokens, in) to (1, tokens, out), in the dtype of `x`."""
        output: Tensor = self.linear(x)
        if self._scale is None:
            return output
        output = output + product(product(x, self.lora_a.T) * self._scale, self.lora_b.T)
        return output if self._output_scale is None else lora.stretched(output, self._output_scale)


def attach_adapters(language_model: Any, folders: Sequence[Path], dtype: torch.dtype) -> list[MultiLoraLinear]:
    """Lay the adapters in `folders`, voices from 1 on, over a text model; raises `ModelError` for one of another.

    They are multiplied in the activations' `dtype`.
    """
    layers: dict[str, MultiLoraLinear] = {}
    for voice, folder in enumerate(folders, 1):
        for name, part in peft_adapter.parts(folder).items():
            if name not in layers:
                layers[name] = _replace(language_model, name, len(folders) + 1, folder, dtype)
            linear = layers[name].linear
            if not part.fits(linear.out_features, linear.in_features):
                raise ModelError(f"The adapter in {folder} does not fit the model at {name}.", peft_adapter.OTHER_BASE)
            layers[name].add(voice, part)
    return list(layers.values())


def _replace(language_model: Any, name: str, voices: int, folder: Path, dtype: torch.dtype) -> MultiLoraLinear:
    """The layer of that name, made one that can have several voices."""
    owner, _, last = name.rpartition(".")
    try:
        block = language_model.get_submodule(owner)
        linear = block.get_submodule(last)
    except AttributeError:
        linear = None
    if not isinstance(linear, nn.Linear | FrozenLinear):
        raise ModelError(
            f"The adapter in {folder} is for a layer that this model does not have: {name}.", peft_adapter.OTHER_BASE
        )
    replacement = MultiLoraLinear(linear, voices, dtype, linear.weight.device)
    setattr(block, last, replacement)
    return replacement
