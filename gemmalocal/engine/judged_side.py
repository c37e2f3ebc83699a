"""Answers of one side, to train on or to measure, and each prompt with the answer to another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gemmalocal.data.examples import Example
from gemmalocal.data.token_store import Examples
from gemmalocal.recipe.objective import ObjectiveSpec


class JudgedSide(NamedTuple):
    """Answers with their labels, and `mismatched`, as many, where the objective needs them."""

    examples: Examples
    mismatched: Mismatched | None

    @classmethod
    def of(cls, spec: ObjectiveSpec, examples: Examples) -> JudgedSide:
        """A side for an objective."""
        return cls(examples, Mismatched(examples) if spec.kind == "kto" else None)


class Mismatched(Sequence[Example]):
    """Each prompt with the answer to another one: how far a model has moved in general is measured on them (KTO).

    The answer is that of the row before, as TRL pairs them; so it is the same for a row in every step. An example is
    made when it is asked for.
    """

    def __init__(self, examples: Examples) -> None:
        self._examples = examples
        stored, first = np.unique(examples.indices, return_index=True)
        before = dict(zip(stored.tolist(), np.roll(first, 1).tolist(), strict=True))
        self._before = [before[row] for row in examples.indices.tolist()]  # whose answer each prompt gets

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, place: int) -> Example:  # type: ignore[override]
        asked, answered = self._examples[place], self._examples[self._before[place]]
        prompt, answer = asked.part(None, _border(asked)), answered.part(_border(answered), None)
        return Example(np.concatenate([prompt.ids, answer.ids]), np.concatenate([prompt.weights, answer.weights]))


def _border(example: Example) -> int:
    """Where the answer begins."""
    return int(np.flatnonzero(example.weights)[0])
