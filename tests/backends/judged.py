"""Pairs of answers, and a few steps of an objective over them by any trainer."""

from __future__ import annotations

from typing import Any

import numpy as np

from gemmalocal.backends.protocol import Trainer
from gemmalocal.data.examples import Example
from gemmalocal.data.judged_rounds import Round, judged_rounds
from gemmalocal.engine import objectives
from gemmalocal.engine.judged_batch import JudgedBatch
from gemmalocal.engine.objectives.answers import Numbers
from gemmalocal.engine.shares import log_probabilities
from gemmalocal.engine.tally import Tally
from gemmalocal.recipe.objective import ObjectiveSpec, completed


def some_pairs(count: int = 4, seed: int = 5, longest: int = 20) -> list[Example]:
    """Chosen and rejected answers to so many prompts, one after the other."""
    random = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        prompt = random.integers(6, 290, int(random.integers(3, 12)))
        for good in (True, False):
            answer = random.integers(6, 290, int(random.integers(2, longest)))
            weights = np.concatenate([np.zeros(len(prompt)), np.ones(len(answer))]).astype(np.float32)
            ids = np.concatenate([prompt, answer]).astype(np.int32)
            examples.append(Example(ids, weights, f"{number}, {'chosen' if good else 'rejected'}"))
    return examples


def spec(kind: str, **settings: Any) -> ObjectiveSpec:
    """An objective with the settings that it has where nothing is said."""
    return ObjectiveSpec.model_validate(completed({"objective": {"kind": kind, **settings}})["objective"])


def batch_of(examples: list[Example], asked: ObjectiveSpec, reference: Numbers, divergence: float = 0.3) -> JudgedBatch:
    """A batch to be judged, every other one good."""
    good = np.arange(len(examples)) % 2 == 0
    group = 2 if asked.paired else 1
    return JudgedBatch(examples, good, reference if asked.referring else None, divergence, objectives.of(asked), group)


def step(made: Trainer, batch: JudgedBatch, rate: float = 3e-3, rounds: list[Round] | None = None) -> Tally:
    """Take in a batch and apply it."""
    tally = Tally()
    for one_round in rounds or judged_rounds(batch.examples, batch.group, made.shapes):
        tally = tally.plus(batch.accumulate(one_round, made))
    update = made.apply(rate, int(tally.judged))
    assert abs(update.loss - tally.loss / tally.judged) < 1e-5 * max(1, abs(update.loss))
    return tally


def reference(made: Trainer, examples: list[Example]) -> Numbers:
    """What a trainer thinks of the answers now."""
    return log_probabilities(examples, None, made)
