"""A trainer small enough to follow by hand: one weight on a parabola, with momentum and a random state."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from gemmalocal.backends import decoding, peft_adapter
from gemmalocal.backends.process_group import ALONE, Group
from gemmalocal.backends.protocol import Memory, Objective, Sampling, TokenIds, TokenValues, Update
from gemmalocal.data.batches import BatchShape, MicroBatch
from gemmalocal.data.examples import Example
from gemmalocal.engine.loop import TrainingRun
from gemmalocal.recipe.schema import Recipe, TrainSpec
from gemmalocal.weights.tensors import Floats

LEAST = 1.0  # nats a token where the weight is 0


@dataclass
class Toy:
    """The loss of a token is `LEAST + weight ** 2 / 2`; plain descent diverges at rates above 2.

    `plant` is handed the loss and the draws so far, and gives the loss that is seen (nan is fine); `ruin` is handed
    the rate and the draws, and says whether an update leaves a weight that is not a number.
    """

    plant: Callable[[float, int], float] = lambda loss, draws: loss
    ruin: Callable[[float, int], bool] = lambda rate, draws: False
    noise: float = 0.0
    weight: float = 2.0
    momentum: float = 0.0
    draws: int = 0
    released: int = 0
    shapes: BatchShape = BatchShape(1, 0, 10_000)
    group: Group = ALONE
    seen: list[float] = field(default_factory=list)
    tokens: int = 0

    def loss(self) -> float:
        return LEAST + self.weight**2 / 2

    def accumulate(
        self,
        parts: Sequence[MicroBatch],
        objective: Objective | None = None,
        choices: Sequence[TokenIds] | None = None,
    ) -> None:
        for part in parts:
            self.draws += 1
            noisy = self.loss() * math.exp(self.noise * Random(self.draws).gauss(0, 1))
            self.seen.append(self.plant(noisy, self.draws))
            self.tokens += part.supervised

    def apply(self, learning_rate: float, count: float | None = None) -> Update:
        update = Update(sum(self.seen) / len(self.seen), self.tokens, abs(self.weight))
        self.seen, self.tokens = [], 0
        if update.finite:
            self.momentum = 0.1 * self.momentum + 0.9 * self.weight
            self.weight -= learning_rate * self.momentum
            if self.ruin(learning_rate, self.draws):
                self.weight = math.nan
        return update

    def evaluate(self, parts: Sequence[MicroBatch]) -> tuple[float, int]:
        tokens = sum(part.supervised for part in parts)
        return self.loss() * tokens, tokens

    def log_probabilities(
        self, parts: Sequence[MicroBatch], dropout: bool = False, choices: Sequence[TokenIds] | None = None
    ) -> list[TokenValues]:
        return [np.full(part.supervised, -self.loss(), np.float32) for part in parts]

    def save(self, directory: Path) -> None:
        (directory / peft_adapter.WEIGHTS).write_text(json.dumps([self.weight, self.momentum, self.draws]))
        (directory / peft_adapter.CONFIG).write_text("{}")

    def restore(self, directory: Path) -> None:
        self.weight, self.momentum, self.draws = json.loads((directory / peft_adapter.WEIGHTS).read_text())
        self.seen, self.tokens = [], 0

    def memory(self) -> Memory:
        return Memory(3, 2, 1)

    def release(self) -> None:
        self.released += 1

    def load(self, directory: Path) -> None:
        raise NotImplementedError("a toy has no adapter of PEFT's")

    def renew(self, recipe: Recipe) -> bool:
        self.weight, self.momentum, self.draws, self.seen, self.tokens = 2.0, 0.0, 0, [], 0
        return True

    def logits(self, ids: Sequence[int]) -> Any:
        return np.array([self.weight])

    def stream(self, ids: Sequence[int], max_tokens: int, stops: set[int]) -> Iterator[int]:
        for token in ids[:max_tokens]:
            yield token
            if token in stops:
                return

    def answer(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, stops: set[int]
    ) -> Iterator[list[int | None]]:
        yield [prompt[0] for prompt in prompts]

    def full_logits_loss(self, parts: Sequence[MicroBatch]) -> float:
        return self.loss()

    def work(self) -> tuple[float, float]:
        return 1.0, 1.0


def work(folder: Path, steps: int, held_out: int = 3, **fields: Any) -> TrainingRun:
    """Steps on eight rows of four tokens, two a batch, at a constant rate."""
    rows = [
        Example(np.arange(4, dtype=np.int32), np.ones(4, np.float32), str(number)) for number in range(8 + held_out)
    ]
    settings = {"learning_rate": 0.3, "schedule": "constant", "batch_size": 2, "evaluate_every": 4, "save_every": 4}
    spec = TrainSpec(steps=steps, **{**settings, **fields})
    return TrainingRun(rows[:8], rows[8:], spec, steps, folder)


class Babbler:
    """A generator without a model: scores are random, and depend on all that a row said and on its voice."""

    def stream(
        self, prompts: Sequence[Sequence[int]], voices: Sequence[int], sampling: Sampling, stops: set[int]
    ) -> Iterator[list[int | None]]:
        return decoding.decode(Babble(voices), prompts, voices, sampling, stops)


class Babble:
    """What rows have said so far."""

    def __init__(self, voices: Sequence[int], vocabulary: int = 320) -> None:
        self._said = [[voice] for voice in voices]
        self._vocabulary = vocabulary

    def feed(self, ids: Sequence[Sequence[int]]) -> None:
        for row, more in zip(self._said, ids, strict=True):
            row += more

    def keep(self, places: Sequence[int]) -> None:
        self._said = [self._said[place] for place in places]

    def logits(self) -> Floats:
        scores = [np.random.default_rng(row).standard_normal(self._vocabulary) for row in self._said]
        return np.array(scores, np.float32)

    def likeliest(self) -> list[int]:
        return [int(place) for place in self.logits().argmax(1)]
