"""What scoring is for any engine: which tokens are predicted, and their figures summed by example, a part at a time.

Models that share no weights, or no engine, read the same parts in step, so that no distribution is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.protocol import Likeliest, Scores
from gemmalocal.data.examples import Example
from gemmalocal.weights.tensors import Floats

TOKENS = 32  # whose logits (of all voices together) are in memory at once
APART = 32  # the same of each of several models


class Predicted(NamedTuple):
    """Of each token to be predicted (n,): its example, the place there that predicts it, and its id."""

    rows: NDArray[np.int64]
    places: NDArray[np.int64]
    targets: NDArray[np.int32]


def predicted(examples: Sequence[Example]) -> Predicted:
    """The supervised tokens of some examples, end to end."""
    places = [np.flatnonzero(example.weights[1:] > 0) for example in examples]
    rows = np.repeat(np.arange(len(examples)), [len(of_example) for of_example in places])
    targets = [example.ids[1:][of_example] for example, of_example in zip(examples, places, strict=True)]
    return Predicted(rows, np.concatenate(places), np.concatenate(targets))


def summed(
    tokens: Predicted, examples: int, voices: int, figures: Callable[[Predicted], tuple[Floats, Floats]]
) -> Scores:
    """Sums by example of what `figures` gives for a part of the tokens: loss and KL, (voices, n) each."""
    nats, kl = np.zeros((examples, voices)), np.zeros((examples, voices))
    for part in parts(tokens, max(1, TOKENS // voices)):
        losses, divergences = figures(part)
        np.add.at(nats, part.rows, losses.T)
        np.add.at(kl, part.rows, divergences.T)
    return Scores(nats, kl)


def parts(tokens: Predicted, size: int = APART) -> Iterator[Predicted]:
    """The same tokens, so many at a time."""
    for start in range(0, len(tokens.rows), size):
        here = slice(start, start + size)
        yield Predicted(tokens.rows[here], tokens.places[here], tokens.targets[here])


def joined(of_parts: Iterable[Likeliest]) -> Likeliest:
    """Those of several parts, one after the other."""
    return Likeliest(*map(np.concatenate, zip(*of_parts, strict=True)))


def across(examples: Sequence[Example], models: Sequence[Iterator[Floats]]) -> Scores:
    """What models that share nothing make of the same examples, each by its `Generator.logits` of them."""
    tokens = predicted(examples)
    nats, kl = np.zeros((len(examples), len(models))), np.zeros((len(examples), len(models)))
    for part, *of_models in zip(parts(tokens), *models, strict=True):
        first: Floats | None = None
        for model, logits in enumerate(of_models):
            scores = log_softmax(logits)
            first = scores if first is None else first
            np.add.at(nats[:, model], part.rows, -scores[np.arange(len(scores)), part.targets])
            if model:
                np.add.at(kl[:, model], part.rows, np.einsum("nv,nv->n", np.exp(first), first - scores))
    return Scores(nats, kl)


def log_softmax(logits: Floats) -> Floats:
    """Log-probabilities (n, vocabulary) by logits of the same shape, which are overwritten."""
    logits -= logits.max(-1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True, dtype=np.float64)).astype(np.float32)
    return logits
