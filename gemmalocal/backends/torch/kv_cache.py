"""The key/value cache of rows that answer, each row's by itself, without padding."""

from __future__ import annotations

from typing import Any

from torch import Tensor

BLOCK = 256  # tokens for which there is room after each reallocation


class LayerCache:
    """Keys and values of one row in one layer, (1, heads, tokens, dims) each; beyond a window the oldest go."""

    def __init__(self) -> None:
        self._buffers: tuple[Tensor, Tensor] | None = None
        self._start = self._end = 0  # of the visible tokens in the buffers

    def add(self, key: Tensor, value: Tensor, window: int | None) -> tuple[Tensor, Tensor]:
        """Keys and values (1, heads, visible tokens, dims) that the new tokens may look at, their own at the end.

        These are views of the buffers. Tokens that a window has passed are dropped when the buffers are full.
        """
        kept = self._end - self._start
        if window:
            kept = min(kept, window - 1)
        self._start, end = self._end - kept, self._end + key.shape[2]
        if self._buffers is None or end > self._buffers[0].shape[2]:
            self._reallocate(key, value, kept)
            end = kept + key.shape[2]
        assert self._buffers is not None
        for buffer, tokens in zip(self._buffers, (key, value), strict=True):
            buffer[:, :, self._end : end] = tokens
        self._end = end
        keys, values = self._buffers
        return keys[:, :, self._start : end], values[:, :, self._start : end]

    def _reallocate(self, key: Tensor, value: Tensor, kept: int) -> None:
        """Copy the `kept` newest tokens to the beginning of new buffers, with room for the new tokens and some more."""
        buffers = []
        for index, added in enumerate((key, value)):
            batch, heads, tokens, dims = added.shape
            buffer = added.new_empty(batch, heads, kept + tokens + BLOCK, dims)
            if self._buffers is not None:
                buffer[:, :, :kept] = self._buffers[index][:, :, self._start : self._end]
            buffers.append(buffer)
        self._buffers = buffers[0], buffers[1]
        self._start, self._end = 0, kept


class RowCache:
    """One row: its cache in each layer, and what each kind of layer saw last; `tokens` counts those read so far."""

    def __init__(self) -> None:
        self.tokens = 0
        self._layers: dict[int, LayerCache] = {}
        self._visible: dict[str, tuple[Tensor, Tensor]] = {}

    def update(self, layer: Any, key: Tensor, value: Tensor, window: int | None) -> tuple[Tensor, Tensor]:
        """Add the new tokens' keys and values; those that they may look at in an attention layer of transformers.

        Gemma 4's later layers look at what the last layer of their kind with keys of its own has seen.
        """
        kind = getattr(layer, "layer_type", "")
        if not getattr(layer, "is_kv_shared_layer", False):
            self._visible[kind] = self._layers.setdefault(layer.layer_idx, LayerCache()).add(key, value, window)
        return self._visible[kind]
