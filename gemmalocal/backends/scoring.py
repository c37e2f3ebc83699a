"""What scoring is for any engine: which tokens are predicted, and their figures summed by example, a part at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.protocol import Scores
from gemmalocal.data.examples import Example
from gemmalocal.weights.tensors import Floats

TOKENS = 64  # whose logits (of all voices together) are in memory at once


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
    step = max(1, TOKENS // voices)
    for start in range(0, len(tokens.rows), step):
        here = slice(start, start + step)
        part = Predicted(tokens.rows[here], tokens.places[here], tokens.targets[here])
        losses, divergences = figures(part)
        np.add.at(nats, part.rows, losses.T)
        np.add.at(kl, part.rows, divergences.T)
    return Scores(nats, kl)
