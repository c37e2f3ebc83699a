"""Answers to several prompts in one forward pass over one copy of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gemmalocal.backends import decoding
from gemmalocal.backends.protocol import Sampling
from gemmalocal.backends.torch import device, frozen_linear, model
from gemmalocal.backends.torch import multi_lora as overlays
from gemmalocal.backends.torch.errors import translated
from gemmalocal.backends.torch.kv_cache import RowCache
from gemmalocal.backends.torch.loss import Head
from gemmalocal.weights.tensors import Floats

PREFILL = 2048  # tokens of all prompts that are read at once


def generator(
    folder: Path, adapters: Sequence[Path] = (), dtype: str = "auto", quantize: int | None = None
) -> TorchGenerator:
    """Load the weights in `folder` and lay adapters over them."""
    with translated():
        return TorchGenerator(folder, adapters, dtype, quantize)


class TorchGenerator:
    """A Gemma under any number of adapters."""

    def __init__(self, folder: Path, adapters: Sequence[Path], dtype: str, quantize: int | None) -> None:
        frozen_linear.require(quantize)
        precision = device.here(dtype)
        self._text = model.load(folder, precision, device.current(), quantize).text
        self._layers = overlays.attach_adapters(self._text, adapters, precision.stream)
        self._head = Head(self._text)

    def stream(
        self, prompts: Sequence[Sequence[int]], voices: Sequence[int], sampling: Sampling, stops: set[int]
    ) -> Iterator[list[int | None]]:
        """Answer all prompts at once: each step gives one id for each prompt, None for one that has ended."""
        rows = TorchRows(self._text, self._head, self._layers, voices)
        return decoding.decode(rows, prompts, voices, sampling, stops)


class TorchRows:
    """Rows one after the other, without padding, each with its own keys and values, and a voice of `layers`.

    What follows them is computed when it is asked for: so whoever streams has an id as soon as it is known.
    """

    def __init__(
        self, text: Any, head: Head, layers: Sequence[overlays.MultiLoraLinear] = (), voices: Sequence[int] = (0,)
    ) -> None:
        self._text, self._head, self._layers = text, head, layers
        self._device = text.device
        self._voices, self._rows = list(voices), [RowCache() for _ in voices]
        self._fed: Sequence[Sequence[int]] = ()
        self._selected: list[tuple[int, int]] | None = None

    def feed(self, ids: Sequence[Sequence[int]]) -> None:
        """Go on with these ids, some for each row."""
        self._fed = ids

    def keep(self, places: Sequence[int]) -> None:
        """Forget all rows but these."""
        self._voices = [self._voices[place] for place in places]
        self._rows = [self._rows[place] for place in places]

    def likeliest(self) -> list[int]:
        """The id of the highest score after each row."""
        with translated():
            return [int(one) for one in self._scores().argmax(-1).tolist()]

    def logits(self) -> Floats:
        """The scores after each row, (rows, vocabulary)."""
        with translated():
            found: Floats = self._scores().cpu().numpy()
            return found

    @torch.no_grad()
    def _scores(self) -> Tensor:
        last: dict[int, Tensor] = {}
        for part in _parts(list(map(len, self._fed)), PREFILL):
            ends = torch.tensor([end - start for _, start, end in part], device=self._device).cumsum(0) - 1
            states = self._read(part)[0, ends]
            last |= {row: state for (row, _, _), state in zip(part, states, strict=True)}
        return self._head.logits(torch.stack([last[row] for row in range(len(self._rows))]).float())

    def _read(self, part: list[tuple[int, int, int]]) -> Tensor:
        """The hidden states (1, tokens, width) of a part of what was fed, which is remembered."""
        self._select([(self._voices[row], end - start) for row, start, end in part])
        ids = [number for row, start, end in part for number in self._fed[row][start:end]]
        rows, positions = [self._rows[row] for row, _, _ in part], list[int]()
        for row, (_, start, end) in zip(rows, part, strict=True):
            positions += range(row.tokens, row.tokens + end - start)
            row.tokens += end - start
        states: Tensor = self._text.model(
            input_ids=torch.tensor([ids], device=self._device),
            position_ids=torch.tensor([positions], device=self._device),
            use_cache=False,
            rows=[end - start for _, start, end in part],
            before=rows,
        ).last_hidden_state
        return states

    def _select(self, wanted: list[tuple[int, int]]) -> None:
        """Let each token have its row's voice; given are voices and how many tokens they have."""
        if wanted == self._selected:
            return
        self._selected = wanted
        chosen = None
        if any(voice for voice, _ in wanted):
            chosen = torch.tensor([voice for voice, count in wanted for _ in range(count)], device=self._device)
        for layer in self._layers:
            layer.select(chosen)


def _parts(counts: Sequence[int], most: int) -> Iterator[list[tuple[int, int, int]]]:
    """Row, start and end of so many tokens of each row, at most `most` of them at once."""
    part: list[tuple[int, int, int]] = []
    room = most
    for row, count in enumerate(counts):
        start = 0
        while start < count:
            end = min(count, start + room)
            part.append((row, start, end))
            room -= end - start
            start = end
            if not room:
                yield part
                part, room = [], most
    if part:
        yield part
