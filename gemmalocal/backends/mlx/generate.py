"""Answers to several prompts in one forward pass over one copy of the weights."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import BatchKVCache, BatchRotatingKVCache, RotatingKVCache, make_prompt_cache

from gemmalocal.backends import decoding
from gemmalocal.backends.mlx import device, model, multi_lora, score
from gemmalocal.backends.mlx.errors import translated
from gemmalocal.backends.mlx.loss import Head
from gemmalocal.backends.protocol import Likeliest, Sampling, Scores
from gemmalocal.data.examples import Example
from gemmalocal.weights.tensors import Floats

PREFILL = 2048  # tokens of all prompts that are read at once
CACHE_STEP = 32  # tokens that a row's caches grow by; with mlx-lm's 256 most of it lies empty under short answers
CACHE_LIMIT = 1 << 24  # bytes of freed buffers that MLX keeps: an answer's tokens take little, and all alike


def generator(
    folder: Path, adapters: Sequence[Path] = (), dtype: str = "auto", quantize: int | None = None
) -> MlxGenerator:
    """Load the weights in `folder` and lay adapters over them; raises `ModelError` and `OutOfMemory`."""
    with translated():
        return MlxGenerator(folder, adapters, dtype, quantize)


class MlxGenerator:
    """A Gemma under any number of adapters."""

    def __init__(self, folder: Path, adapters: Sequence[Path], dtype: str, quantize: int | None) -> None:
        self._language_model = model.load(folder, dtype, quantize).language_model
        model.fold_norms(self._language_model)
        self._layers = multi_lora.attach_adapters(self._language_model, adapters)
        self._head = Head(self._language_model)
        mx.eval(self._language_model.parameters())
        mx.set_cache_limit(CACHE_LIMIT)  # also gives back what reading the weights took

    def stream(
        self, prompts: Sequence[Sequence[int]], voices: Sequence[int], sampling: Sampling, stops: set[int]
    ) -> Iterator[list[int | None]]:
        """Answer all prompts at once: each step gives one id for each prompt, None for one that has ended."""
        rows = MlxRows(self._language_model, self._head, self._layers, voices)
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
        mx.clear_cache()
        mx.set_cache_limit(device.CACHE_LIMIT)


class MlxRows:
    """Rows of different length, padded on the left, in mlx-lm's key-value caches; each has a voice of `layers`."""

    def __init__(
        self,
        language_model: Any,
        head: Head,
        layers: Sequence[multi_lora.MultiLoraLinear] = (),
        voices: Sequence[int] = (),
    ) -> None:
        self._language_model, self._head, self._layers = language_model, head, layers
        self._cache: list[Any] | None = None
        self._voices = list(voices)
        self._select_voices()

    def _select_voices(self) -> None:
        voices = mx.array(self._voices) if any(self._voices) else None
        for layer in self._layers:
            layer.select(voices)

    def feed(self, ids: Sequence[Sequence[int]]) -> None:
        """Go on with these ids; all later calls have one for each row."""
        with translated():
            if self._cache is None:
                self._cache = _padded_cache(self._language_model, ids)
            self._logits = self._head.logits(_prefill(self._language_model, self._cache, ids))
            self._likeliest = mx.argmax(self._logits, axis=-1)
            mx.async_eval(self._likeliest)  # it is computed while the caller is busy with the ids before

    def keep(self, places: Sequence[int]) -> None:
        """Forget all rows but these."""
        self._voices = [self._voices[place] for place in places]
        self._select_voices()
        for layer in self._cache or ():
            layer.filter(mx.array(list(places)))

    def likeliest(self) -> list[int]:
        """The id of the highest logit after each row."""
        with translated():
            ids: Any = self._likeliest.tolist()
        return list(ids)

    def logits(self) -> Floats:
        """The logits after each row, (rows, vocabulary), float32."""
        with translated():
            return np.array(self._logits.astype(mx.float32))


def _padded_cache(language_model: Any, prompts: Sequence[Sequence[int]]) -> list[Any]:
    """mlx-lm's key-value caches for rows of different length, which are padded on the left."""
    longest = max(map(len, prompts))
    padding = [longest - len(prompt) for prompt in prompts]
    caches = [
        BatchRotatingKVCache(layer.max_size, padding) if isinstance(layer, RotatingKVCache) else BatchKVCache(padding)
        for layer in make_prompt_cache(language_model)
    ]
    for layer in caches:
        layer.step = CACHE_STEP
    return caches


def _prefill(language_model: Any, cache: list[Any], prompts: Sequence[Sequence[int]]) -> mx.array:
    """Put ids into the cache, `PREFILL` tokens of all rows at once; the hidden states of their last, (rows, width)."""
    longest = max(map(len, prompts))
    ids = mx.array([[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    chunk = max(1, PREFILL // len(prompts))
    for start in range(0, longest, chunk):
        states = language_model.model(ids[:, start : start + chunk], cache=cache)[:, -1]
        if longest > 1:
            mx.eval(states, [layer.state for layer in cache])
    return states
