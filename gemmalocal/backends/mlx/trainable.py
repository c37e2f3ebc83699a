"""What is trained, in the trainer's order, and under the names of single projections on disk."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any, cast

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

from gemmalocal.backends.mlx.lora import AND, LoraLinear
from gemmalocal.errors import ModelError

ADAPTER_ARRAYS = ("lora_a", "lora_b", "magnitude")


class Trainable:
    """The trainable arrays of a language model, in its order, or `by_kind`: first all of LoRA's A, then all B."""

    def __init__(self, language_model: Any, by_kind: bool) -> None:
        self._model = language_model
        self.names = [name for name, _ in _named(language_model.trainable_parameters())]
        if by_kind:
            self.names.sort(key=_kind)
        self._adapters = {name: module for name, module in language_model.named_modules() if hasattr(module, "lora_a")}

    @property
    def named(self) -> dict[str, mx.array]:
        """Now, by and in the order of `names`."""
        arrays = dict(_named(self._model.trainable_parameters()))
        return {name: arrays[name] for name in self.names}

    @property
    def arrays(self) -> list[mx.array]:
        """Now, in the order of `names`."""
        return list(self.named.values())

    def update(self, arrays: list[mx.array]) -> None:
        """Put other arrays in their place."""
        self._model.update(tree_unflatten(list(zip(self.names, arrays, strict=True))))

    def by_projection(self, arrays: Mapping[str, mx.array]) -> dict[str, mx.array]:
        """Arrays whose names begin with those of trainable ones, by the names of single projections."""
        split: dict[str, mx.array] = {}
        for name, array in arrays.items():
            base = next((base for base in self._together if name.startswith(f"{base}.")), None)
            if base is None:
                split[name] = array
                continue
            rest = name.removeprefix(f"{base}.")
            block, _, projections = base.rpartition(".")
            borders = self._borders(base, rest)
            for projection, part in zip(projections.split(AND), mx.split(array, borders), strict=True):
                split[f"{block}.{projection}.{rest}"] = part
        return split

    def together(self, arrays: Mapping[str, mx.array]) -> dict[str, mx.array]:
        """The inverse of `by_projection`; raises `ModelError` if a projection is missing."""
        joined = dict(arrays)
        for base in self._together:
            block, _, projections = base.rpartition(".")
            names = [f"{block}.{projection}." for projection in projections.split(AND)]
            for rest in [key.removeprefix(names[0]) for key in arrays if key.startswith(names[0])]:
                missing = [name for name in names if f"{name}{rest}" not in joined]
                if missing:
                    raise ModelError(f"The adapter lacks {missing[0]}{rest}.", "Take one with the same target_modules.")
                joined[f"{base}.{rest}"] = mx.concatenate([joined.pop(f"{name}{rest}") for name in names])
        return joined

    @property
    def _together(self) -> list[str]:
        return [name for name in self._adapters if AND in name]

    def _borders(self, base: str, rest: str) -> list[int]:
        """Rows of an array at which another projection begins."""
        adapter: LoraLinear = self._adapters[base]
        count = len(adapter.outputs)
        rank = len(adapter.lora_a) // count
        return list(accumulate([rank] * count if rest.startswith("lora_a") else adapter.outputs))[:-1]


def _kind(name: str) -> int:
    """By kind of array; those of a full fine-tune are all alike."""
    inner = name.rpartition(".")[2]
    return ADAPTER_ARRAYS.index(inner) if inner in ADAPTER_ARRAYS else 0


def _named(tree: Any) -> list[tuple[str, mx.array]]:
    return cast("list[tuple[str, mx.array]]", tree_flatten(tree))
