"""Learning from a teacher: what it said of each token, looked up on disk, becomes the slopes of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.protocol import ByToken, TokenIds, TokenValues, Trainer
from gemmalocal.data.batches import MicroBatch
from gemmalocal.data.examples import Example
from gemmalocal.data.taught_store import TaughtStore, row_key
from gemmalocal.data.token_store import Examples
from gemmalocal.engine.guide import Figures, Losses
from gemmalocal.engine.objectives.distill import Distilled, Taught, distill
from gemmalocal.engine.shares import by_row, predicted, shared, untrained
from gemmalocal.jobs.events import Event


class Lesson(NamedTuple):
    """Sums over tokens by their weights, of which `judged` is the sum.

    `divergence` is KL(teacher || student) over what was kept, `agreed` those whose likeliest kept id is the teacher's
    likeliest, `imitation` the loss of the rows' own tokens (NaN where logits are divided by a temperature).
    """

    loss: float = 0.0
    judged: float = 0.0
    divergence: float = 0.0
    agreed: float = 0.0
    imitation: float = 0.0

    def plus(self, other: Lesson) -> Lesson:
        """Both together."""
        return Lesson(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def figures(self) -> Figures:
        """Means: kl and cross_entropy (nats a token), agreement (from 0 to 1)."""
        means = {"kl": self.divergence / self.judged, "agreement": self.agreed / self.judged}
        return means if math.isnan(self.imitation) else means | {"cross_entropy": self.imitation / self.judged}


Reads = Callable[[Example], Example]  # a row as the teacher reads it


class Lessons:
    """Examples with what a teacher said of them, by their place."""

    def __init__(self, store: TaughtStore, example: Callable[[int], Example], key: Callable[[int], str]) -> None:
        self._store, self.example, self._key = store, example, key

    @classmethod
    def of(cls, examples: Examples, store: TaughtStore, reads: Reads) -> Lessons:
        """Of rows; those that are trained on several times are looked at once."""
        _, first, inverse = np.unique(examples.indices, return_index=True, return_inverse=True)
        keys = [row_key(reads(examples[int(place)])) for place in first]
        rows = inverse.tolist()
        return cls(store, lambda place: examples[place], lambda place: keys[rows[place]])

    def of_part(self, part: MicroBatch, places: NDArray[np.int64]) -> _PartLesson:
        """Of a micro-batch, whose rows are some of the examples at these places."""
        tokens = np.concatenate([self._store[self._key(int(places[row]))] for row in part.rows])
        return _PartLesson(tokens, _targets(part), part.token_weights.astype(np.float64))


class _PartLesson(NamedTuple):
    """What a teacher said of a micro-batch's n supervised tokens, their own ids and their weights, (n,) each."""

    tokens: NDArray[np.void]
    targets: NDArray[np.int32]
    weights: NDArray[np.float64]

    @property
    def choices(self) -> TokenIds:
        """(n, k + 1): the ids that the teacher finds likeliest, and the row's own."""
        return np.concatenate([self.tokens["ids"].astype(np.int32), self.targets[:, None]], axis=1)

    @property
    def constants(self) -> list[TokenValues]:
        """What `TokenFormula` takes beside the student's values, float32."""
        return [array.astype(np.float32) for array in (self.tokens["logp"], self.tokens["rest"], self.weights)]

    def judged(self, values: TokenValues, settings: Settings) -> tuple[Lesson, TokenValues]:
        """What the objective makes of the student's log-probabilities (n, k + 1), and its slopes by them."""
        student = values.astype(np.float64)
        given, slopes = self._distilled(student, settings)
        target = student[:, -1] * (math.nan if settings.tempered else 1)
        return self._summed(given, student[:, :-1], target), slopes.astype(np.float32)

    def by_row(
        self, values: TokenValues, counts: Sequence[int], settings: Settings
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Loss and weights of each row of the micro-batch, (rows,) each, which have so many supervised tokens."""
        given, _ = self._distilled(values.astype(np.float64), settings)
        return by_row(given.losses * self.weights, counts), by_row(self.weights, counts)

    def _distilled(self, student: NDArray[np.float64], settings: Settings) -> tuple[Distilled, NDArray[np.float64]]:
        logp, rest = (self.tokens[name].astype(np.float64) for name in ("logp", "rest"))
        return TokenFormula(settings).distilled(np, student, logp, rest, self.weights)

    def _summed(self, given: Distilled, student: NDArray[np.float64], target: NDArray[np.float64]) -> Lesson:
        weights = self.weights
        return Lesson(
            loss=float(given.losses @ weights),
            judged=float(weights.sum()),
            divergence=float(given.divergences @ weights),
            agreed=float((student.argmax(1) == 0) @ weights),
            imitation=float(-target @ weights),
        )


class Settings(NamedTuple):
    """Of the objective; `whole` says that every id was kept, `tempered` that logits are divided by a temperature."""

    beta: float
    mix: float
    whole: bool = False
    tempered: bool = False


@dataclass(frozen=True)
class TokenFormula:
    """The objective at each token, in any library's arrays: see `ByToken`."""

    settings: Settings

    def __call__(self, by: Any, values: Any, logp: Any, rest: Any, weights: Any) -> tuple[Any, Any]:
        """Losses (n,), and their slopes by the student's log-probabilities, `values` (n, k + 1)."""
        given, slopes = self.distilled(by, values, logp, rest, weights)
        return given.losses * weights, slopes

    def distilled(self, by: Any, values: Any, logp: Any, rest: Any, weights: Any) -> tuple[Distilled, Any]:
        """The same before it is weighed, and the slopes."""
        settings, taught = self.settings, Taught(logp, None if self.settings.whole else rest)
        given = distill(values[:, :-1], values[:, -1], taught, settings.beta, settings.mix, by)
        slopes = by.concatenate([given.slopes, given.target_slopes[:, None]], axis=1)
        return given, slopes * weights[:, None]


class Distillation:
    """The objective over examples that are trained on and examples, `held_out`, that are measured.

    At most `rows` rows stand in a micro-batch.
    """

    group, judges = 1, "token"

    def __init__(
        self, settings: Settings, train: Lessons, measured: Lessons, held_out: Examples, rows: int | None
    ) -> None:
        self._settings, self._rows = settings, rows
        self._train, self._measured, self._held_out = train, measured, held_out

    def before(self, step: int, trainer: Trainer) -> Iterator[Event]:
        """All is there from the beginning."""
        return iter(())

    def accumulate(self, places: NDArray[np.int64], trainer: Trainer) -> Lesson:
        """Let a trainer take in a batch, the training examples at these places; what came of it, over all ranks."""
        total = Lesson()
        examples = [self._train.example(int(place)) for place in places]
        for parts in shared(examples, self._rows, trainer):
            lessons = [self._train.of_part(part, places) for part in parts]

            def objective(
                values: Sequence[TokenValues], lessons: Sequence[_PartLesson] = lessons
            ) -> tuple[float, Sequence[TokenValues]]:
                nonlocal total
                loss, slopes = 0.0, []
                for lesson, of_part in zip(lessons, values, strict=True):
                    told, slope = lesson.judged(of_part, self._settings)
                    total, loss = total.plus(told), loss + told.loss
                    slopes.append(slope)
                return loss, slopes

            formula, constants = TokenFormula(self._settings), [lesson.constants for lesson in lessons]
            by_token = ByToken(objective, formula, constants)
            trainer.accumulate(parts, by_token, [lesson.choices for lesson in lessons])
        return Lesson(*trainer.group.sum(list(total)))

    def measure(self, model: Trainer) -> Lesson:
        """The same of what is measured, without dropout or a gradient."""
        total = Lesson()
        for _, lesson, values in self._student(model):
            total = total.plus(lesson.judged(values, self._settings)[0])
        return Lesson(*model.group.sum(list(total)))

    def losses(self, model: Trainer) -> Losses:
        """Of what is measured, row by row."""
        sums = np.zeros((2, len(self._held_out)))
        for places, lesson, values in self._student(model):
            counts = [predicted(self._held_out[place]) for place in places]
            sums[:, places] = lesson.by_row(values, counts, self._settings)
        loss, judged = np.array(model.group.sum(sums.ravel().tolist())).reshape(sums.shape)
        return Losses(loss, judged)

    def _student(self, model: Trainer) -> Iterator[tuple[list[int], _PartLesson, TokenValues]]:
        """This process's micro-batches of what is measured: the rows' places, what was said, what the student says."""
        for places, parts in untrained(self._held_out, self._rows, model):
            lessons = [self._measured.of_part(part, np.array(places)) for part in parts]
            values = model.log_probabilities(parts, choices=[lesson.choices for lesson in lessons])
            for part, lesson, of_part in zip(parts, lessons, values, strict=True):
                yield [places[row] for row in part.rows], lesson, of_part

    @property
    def tokens(self) -> int:
        """Supervised tokens of what is measured."""
        return self._held_out.supervised

    def warnings(self, measured: object) -> Iterator[str]:
        """Nothing is known that looks wrong."""
        return iter(())


def _targets(part: MicroBatch) -> NDArray[np.int32]:
    """The ids of the supervised tokens, (n,), row by row."""
    targets: NDArray[np.int32] = part.ids[:, 1:][part.weights[:, 1:] > 0]
    return targets
