"""Loss of several voices over the same examples, and how far they are from the first one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.mlx import compute_path, device, multi_lora
from gemmalocal.backends.mlx.loss import Head
from gemmalocal.backends.protocol import Likeliest, Scores
from gemmalocal.backends.scoring import TOKENS, Predicted, joined, parts, predicted, summed
from gemmalocal.data.examples import Example
from gemmalocal.weights.tensors import Floats


def score(
    language_model: Any,
    head: Head,
    layers: Sequence[multi_lora.MultiLoraLinear],
    examples: Sequence[Example],
    voices: Sequence[int],
) -> Scores:
    """What `Generator.score` promises."""
    states = _states(language_model, layers, examples, voices)  # (voices, examples, length, width)

    def figures(part: Predicted) -> tuple[Floats, Floats]:
        hidden = states[:, mx.array(part.rows), mx.array(part.places)]  # (voices, n, width)
        logits = head.logits(hidden.reshape(-1, hidden.shape[-1])).astype(mx.float32)
        return _figures(logits.reshape(len(voices), -1, logits.shape[-1]), part.targets)

    return summed(predicted(examples), len(examples), len(voices), figures)


def logits(
    language_model: Any,
    head: Head,
    layers: Sequence[multi_lora.MultiLoraLinear],
    examples: Sequence[Example],
    voice: int,
) -> Iterator[Floats]:
    """What `Generator.logits` promises."""
    states = _states(language_model, layers, examples, [voice])[0]
    for part in parts(predicted(examples)):
        yield np.array(head.logits(states[mx.array(part.rows), mx.array(part.places)]).astype(mx.float32))


def likeliest(
    language_model: Any,
    head: Head,
    layers: Sequence[multi_lora.MultiLoraLinear],
    examples: Sequence[Example],
    voice: int,
    keep: int,
    temperature: float,
    vocabulary: int,
) -> Likeliest:
    """What `Generator.likeliest` promises."""
    states = _states(language_model, layers, examples, [voice])[0]

    def of_part(part: Predicted) -> Likeliest:
        logits = head.logits(states[mx.array(part.rows), mx.array(part.places)]).astype(mx.float32)
        return _likeliest(logits[:, :vocabulary] / temperature, keep)

    return joined(of_part(part) for part in parts(predicted(examples), TOKENS))


def _likeliest(logits: mx.array, keep: int) -> Likeliest:
    """Of logits (n, vocabulary) the highest, in order, as log-probabilities, and the rest."""
    if compute_path.current().tiled_head:
        with ThreadPoolExecutor(device.blas_threads()) as threads:
            whole = np.array(logits, copy=False)  # MLX's own memory
            of_rows = list(threads.map(lambda row: _likeliest_of(row, keep), whole))
        return Likeliest(*(np.stack(of_kind) for of_kind in zip(*of_rows, strict=True)))
    chosen = mx.argpartition(-logits, keep - 1, axis=-1)[:, :keep] if keep < logits.shape[1] else mx.argsort(-logits)
    order = mx.argsort(-mx.take_along_axis(logits, chosen, axis=-1), axis=-1)
    chosen = mx.take_along_axis(chosen, order, axis=-1)
    normalizer = mx.logsumexp(logits, axis=-1, keepdims=True)
    others = mx.put_along_axis(logits, chosen, mx.array(-mx.inf), axis=-1)
    rest = (mx.logsumexp(others, axis=-1, keepdims=True) - normalizer)[:, 0]
    kept = mx.take_along_axis(logits, chosen, axis=-1) - normalizer
    return Likeliest(np.array(chosen).astype(np.int32), np.array(kept), np.array(rest))


def _likeliest_of(logits: Floats, keep: int) -> tuple[NDArray[np.int32], Floats, np.float32]:
    """The same of one token's logits (vocabulary,), which are overwritten, in numpy: MLX's CPU `exp` is slow."""
    some = np.argpartition(-logits, keep - 1)[:keep] if keep < len(logits) else np.arange(len(logits))
    chosen: NDArray[np.int32] = some[np.argsort(-logits[some], kind="stable")].astype(np.int32)
    kept, highest = logits[chosen], float(logits[chosen[0]])
    weights = np.exp(np.subtract(logits, highest, out=logits), out=logits)
    of_kept = float(np.exp(kept - highest).sum(dtype=np.float64))
    weights[chosen] = 0
    of_others = float(weights.sum(dtype=np.float64))
    total = of_kept + of_others
    rest = math.log(of_others) - math.log(total) if of_others else -math.inf
    return chosen, (kept - highest - math.log(total)).astype(np.float32), np.float32(rest)


def _states(
    language_model: Any,
    layers: Sequence[multi_lora.MultiLoraLinear],
    examples: Sequence[Example],
    voices: Sequence[int],
) -> mx.array:
    """Hidden states (voices, examples, length, width); what is behind an example's end is padding."""
    length = max(len(example.ids) for example in examples) - 1
    ids = np.zeros((len(examples), length), np.int32)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids) - 1] = example.ids[:-1]
    chosen = mx.array(np.repeat(voices, len(examples))) if any(voices) else None
    for layer in layers:
        layer.select(chosen)
    states = language_model.model(mx.array(np.tile(ids, (len(voices), 1))))
    mx.eval(states)
    return states.reshape(len(voices), len(examples), length, -1)


def _figures(logits: mx.array, targets: NDArray[np.int32]) -> tuple[Floats, Floats]:
    """Loss and KL (voices, n) by logits (voices, n, vocabulary) and ids (n,)."""
    if not compute_path.current().tiled_head:
        scores = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        places = mx.array(np.tile(targets[:, None], (len(scores), 1, 1)))
        losses = -mx.take_along_axis(scores, places, axis=-1)[..., 0]
        divergences = (mx.exp(scores[:1]) * (scores[:1] - scores)).sum(axis=-1)
        return np.array(losses), np.array(divergences)
    whole = np.array(logits, copy=False)  # MLX's own memory
    with ThreadPoolExecutor(device.blas_threads()) as threads:
        of_tokens = list(threads.map(_of_token, whole.swapaxes(0, 1), targets.tolist()))
    losses_and_divergences: Floats = np.array(of_tokens, np.float32)  # (n, 2, voices)
    return losses_and_divergences[:, 0].T, losses_and_divergences[:, 1].T


def _of_token(logits: Floats, target: int) -> tuple[list[float], list[float]]:
    """Loss and KL by voice, of one token's logits (voices, vocabulary), in numpy: MLX's CPU `exp` is slow."""
    first, *others = logits
    weights = np.exp(first - first.max())  # not normalized; they stay in the processor's cache
    total = float(weights.sum())
    normalizers = [float(first.max()) + math.log(total)]
    divergences = [0.0]
    for scores in others:
        highest = scores.max()
        normalizers.append(float(highest) + math.log(float(np.exp(scores - highest).sum())))
        mean_difference = float(np.dot(weights, first - scores)) / total
        divergences.append(mean_difference - normalizers[0] + normalizers[-1])
    losses = [normalizer - float(row[target]) for normalizer, row in zip(normalizers, logits, strict=True)]
    return losses, divergences
