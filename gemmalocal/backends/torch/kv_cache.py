"""What rows that answer have said so far: their keys and values, each row's by itself, without padding."""

from __future__ import annotations

from typing import Any

from torch import Tensor

BLOCK = 256  # tokens for which there is room after each move


class LayerCache:
    """Keys and values of one row in one layer, (1, heads, tokens, dims) each; beyond a window the oldest go."""

    def __init__(self) -> None:
        self._held: tuple[Tensor, Tensor] | None = None
        self._start = self._end = 0

    def add(self, key: Tensor, value: Tensor, window: int | None) -> tuple[Tensor, Tensor]:
        """Keys and values that the new tokens may look at, their own at the end; these may be views."""
        kept = self._end - self._start
        if window:
            kept = min(kept, window - 1)
        self._start, end = self._end - kept, self._end + key.shape[2]
        if self._held is None or end > self._held[0].shape[2]:
            self._move(key, value, kept)
            end = kept + key.shape[2]
        assert self._held is not None
        for held, new in zip(self._held, (key, value), strict=True):
            held[:, :, self._end : end] = new
        self._end = end
        keys, values = self._held
        return keys[:, :, self._start : end], values[:, :, self._start : end]

    def _move(self, key: Tensor, value: Tensor, kept: int) -> None:
        """To the beginning of new tensors, with room for the new tokens and some more."""
        made = []
        for place, new in enumerate((key, value)):
            one, heads, tokens, dims = new.shape
            held = new.new_empty(one, heads, kept + tokens + BLOCK, dims)
            if self._held is not None:
                held[:, :, :kept] = self._held[place][:, :, self._start : self._end]
            made.append(held)
        self._held = made[0], made[1]
        self._start, self._end = 0, kept


class RowCache:
    """The lines of a row by layer, and what was seen last by the kinds of layers."""

    def __init__(self) -> None:
        self.tokens = 0
        self._lines: dict[int, LayerCache] = {}
        self._seen: dict[str, tuple[Tensor, Tensor]] = {}

    def see(self, layer: Any, key: Tensor, value: Tensor, window: int | None) -> tuple[Tensor, Tensor]:
        """What the new tokens may look at in an attention layer of transformers.

        Gemma 4's later layers look at what the last layer of their kind with keys of its own has seen.
        """
        kind = getattr(layer, "layer_type", "")
        if not getattr(layer, "is_kv_shared_layer", False):
            self._seen[kind] = self._lines.setdefault(layer.layer_idx, LayerCache()).add(key, value, window)
        return self._seen[kind]
