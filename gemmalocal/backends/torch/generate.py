"""Answers to several prompts in one forward pass over one copy of the weights."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gemmalocal.backends import decoding
from gemmalocal.backends.protocol import Likeliest, Sampling, Scores
from gemmalocal.backends.torch import cpu_memory, device, frozen_linear, model, multi_lora, score
from gemmalocal.backends.torch.errors import translated
from gemmalocal.backends.torch.kv_cache import RowCache
from gemmalocal.backends.torch.loss import Head
from gemmalocal.data.examples import Example
from gemmalocal.weights.tensors import Floats

PREFILL = 2048  # tokens of all prompts that are read at once


def generator(
    folder: Path, adapters: Sequence[Path] = (), dtype: str = "auto", quantize: int | None = None
) -> TorchGenerator:
    """Load the weights in `folder` and lay adapters over them; raises `ModelError` and `OutOfMemory`."""
    with translated():
        return TorchGenerator(folder, adapters, dtype, quantize)


class TorchGenerator:
    """A Gemma under any number of adapters."""

    def __init__(self, folder: Path, adapters: Sequence[Path], dtype: str, quantize: int | None) -> None:
        frozen_linear.require_quantizer(quantize)
        precision = device.here(dtype)
        self._language_model = model.load(folder, precision, device.current(), quantize).language_model
        self._layers = multi_lora.attach_adapters(self._language_model, adapters, precision.stream)
        self._head = Head(self._language_model)

    def stream(
        self, prompts: Sequence[Sequence[int]], voices: Sequence[int], sampling: Sampling, stops: set[int]
    ) -> Iterator[list[int | None]]:
        """Answer all prompts at once: each step gives one id for each prompt, None for one that has ended."""
        rows = TorchRows(self._language_model, self._head, self._layers, voices)
        return decoding.decode(rows, prompts, voices, sampling, stops)

    def score(self, examples: Sequence[Example], voices: Sequence[int]) -> Scores:
        """Loss of each example by each voice, and KL from the first voice, all in one forward pass."""
        with translated():
            return score.score(self._language_model, self._head, self._layers, examples, voices)

    def logits(self, examples: Sequence[Example], voice: int) -> Iterator[Floats]:
        """A voice's logits (n, vocabulary) of the tokens to be predicted, some at a time."""
        with translated():
            yield from score.logits(self._language_model, self._head, self._layers, examples, voice)

    def likeliest(
        self, examples: Sequence[Example], voice: int, keep: int, temperature: float, vocabulary: int
    ) -> Likeliest:
        """The ids that a voice finds likeliest of the tokens to be predicted, and what it gives them."""
        model, head, layers = self._language_model, self._head, self._layers
        with translated():
            return score.likeliest(model, head, layers, examples, voice, keep, temperature, vocabulary)

    def close(self) -> None:
        """Give back the memory of the weights."""
        del self._language_model, self._head, self._layers
        gc.collect()  # layers and what they are called by refer to each other
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        elif torch.backends.mps.is_available():
            torch.mps.empty_cache()
        cpu_memory.release()


class TorchRows:
    """Rows one after the other, without padding, each with its own keys and values, and a voice of `layers`.

    What follows them is computed when it is asked for: so whoever streams has an id as soon as it is known.
    """

    def __init__(
        self,
        language_model: Any,
        head: Head,
        layers: Sequence[multi_lora.MultiLoraLinear] = (),
        voices: Sequence[int] = (0,),
    ) -> None:
        self._language_model, self._head, self._layers = language_model, head, layers
        self._device = language_model.device
        self._voices, self._caches = list(voices), [RowCache() for _ in voices]
        self._pending: Sequence[Sequence[int]] = ()
        self._selected_voices: list[tuple[int, int]] | None = None

    def feed(self, ids: Sequence[Sequence[int]]) -> None:
        """Go on with these ids, some for each row."""
        self._pending = ids

    def keep(self, places: Sequence[int]) -> None:
        """Forget all rows but these."""
        self._voices = [self._voices[place] for place in places]
        self._caches = [self._caches[place] for place in places]

    def likeliest(self) -> list[int]:
        """The id of the highest logit after each row."""
        with translated():
            return [int(token_id) for token_id in self._logits_after().argmax(-1).tolist()]

    def logits(self) -> Floats:
        """The logits after each row, (rows, vocabulary), float32."""
        with translated():
            logits: Floats = self._logits_after().cpu().numpy()
            return logits

    @torch.no_grad()
    def _logits_after(self) -> Tensor:
        """The logits after each row, (rows, vocabulary), float32: what was fed is read, chunk by chunk."""
        last: dict[int, Tensor] = {}
        for spans in _chunks(list(map(len, self._pending)), PREFILL):
            # The hidden state of a row's last token stays; a row cut in two is overwritten by its later span.
            ends = torch.tensor([end - start for _, start, end in spans], device=self._device).cumsum(0) - 1
            states = self._forward(spans)[0, ends]
            last |= {row: state for (row, _, _), state in zip(spans, states, strict=True)}
        return self._head.logits(torch.stack([last[row] for row in range(len(self._caches))]).float())

    def _forward(self, spans: list[tuple[int, int, int]]) -> Tensor:
        """The hidden states (1, tokens, width) of spans (row, start, end) of what was fed, which is cached."""
        self._select_voices([(self._voices[index], end - start) for index, start, end in spans])
        ids = [token_id for index, start, end in spans for token_id in self._pending[index][start:end]]
        caches, positions = [self._caches[index] for index, _, _ in spans], list[int]()
        for cache, (_, start, end) in zip(caches, spans, strict=True):
            positions += range(cache.tokens, cache.tokens + end - start)
            cache.tokens += end - start
        states: Tensor = self._language_model.model(
            input_ids=torch.tensor([ids], device=self._device),
            position_ids=torch.tensor([positions], device=self._device),
            use_cache=False,
            row_lengths=[end - start for _, start, end in spans],
            caches=caches,
        ).last_hidden_state
        return states

    def _select_voices(self, voice_counts: list[tuple[int, int]]) -> None:
        """Let each token have its row's voice; `voice_counts` are (voice, its number of tokens), row by row."""
        if voice_counts == self._selected_voices:
            return
        self._selected_voices = voice_counts
        voices = None
        if any(voice for voice, _ in voice_counts):
            voices = torch.tensor([voice for voice, count in voice_counts for _ in range(count)], device=self._device)
        for layer in self._layers:
            layer.select(voices)


def _chunks(counts: Sequence[int], limit: int) -> Iterator[list[tuple[int, int, int]]]:
    """Spans (row, start, end) of so many tokens of each row, at most `limit` tokens in a list."""
    spans: list[tuple[int, int, int]] = []
    room = limit
    for row, count in enumerate(counts):
        start = 0
        while start < count:
            end = min(count, start + room)
            spans.append((row, start, end))
            room -= end - start
            start = end
            if not room:
                yield spans
                spans, room = [], limit
    if spans:
        yield spans
