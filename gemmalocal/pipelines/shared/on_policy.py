"""Learning from what a teacher says of the student's own answers (on-policy, https://arxiv.org/abs/2306.13649).

The steps are shared out to rounds. As a round begins the student answers the prompts of the rows that it will train on,
drawn by a seed, and the teacher reads these answers. What was answered is kept in the run: one that goes on learns from
the same.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.protocol import Sampling, Trainer
from gemmalocal.data.batches import batch_indices
from gemmalocal.data.examples import Example
from gemmalocal.data.shown import between, shown
from gemmalocal.data.taught_store import TaughtStore, row_key
from gemmalocal.data.token_store import Examples
from gemmalocal.engine.distillation import Distillation, Lesson, Lessons
from gemmalocal.engine.guide import Losses
from gemmalocal.engine.loop import TrainingRun
from gemmalocal.files import atomic, hashes
from gemmalocal.jobs.events import Event, Progress, Stage
from gemmalocal.pipelines import Commands, stop_asked
from gemmalocal.pipelines.shared import answer_batches, teaching
from gemmalocal.pipelines.shared.background import Stopped
from gemmalocal.pipelines.shared.loading import Prepared
from gemmalocal.recipe.schema import Recipe
from gemmalocal.recipe.teacher import SELF

FOLDER = "rounds"  # in a run: what the student answered, a file for each round
SEEDS = 2**31


class OnPolicy:
    """The objective over the student's own answers; what is measured are the held-out rows, as without rounds."""

    group, judges = 1, "token"

    def __init__(
        self,
        recipe: Recipe,
        prepared: Prepared,
        work: TrainingRun,
        store: TaughtStore,
        directory: Path,
        commands: Commands,
    ) -> None:
        assert isinstance(work.train, Examples)
        self._recipe, self._prepared, self._commands = recipe, prepared, commands
        assert work.steps is not None  # a recipe with rounds gives them
        self._folder, self._train, self._steps = directory / FOLDER, work.train, work.steps
        self._settings = teaching.settings_of(recipe, store, prepared)
        self._held_out, self._measured = teaching.measured_by(recipe, work, store, prepared)
        self._round, self._guide = -1, self._over(self._measured)

    def _over(self, lessons: Lessons) -> Distillation:
        rows = self._recipe.train.rows_at_once
        return Distillation(self._settings, lessons, self._measured, self._held_out, rows)

    def before(self, step: int, trainer: Trainer) -> Iterator[Event]:
        """As a round begins, let the student answer, and the teacher read."""
        number = self._round_of(step)
        if number == self._round:
            return
        answers = self._kept(number)
        if answers is None:
            yield Stage(f"the student answers, round {number + 1} of {self._recipe.teacher.rounds}")
            answers = yield from self._answered(number, self._places(number), trainer)
            trainer.release()
        examples = {place: self._example(place, ids) for place, ids in answers.items()}
        readings = {place: self._reading(place, example) for place, example in examples.items()}
        teacher = yield from teaching.teacher_of(self._recipe, self._prepared)
        store = yield from teaching.read(teacher, self._recipe, list(readings.values()), commands=self._commands)
        keys = {place: row_key(reading) for place, reading in readings.items()}
        self._guide = self._over(Lessons(store, examples.__getitem__, keys.__getitem__))
        self._round = number
        yield Stage("training")

    def accumulate(self, places: NDArray[np.int64], trainer: Trainer) -> Lesson:
        """Let a trainer take in a batch: its own answers to the prompts of the rows at these places."""
        return self._guide.accumulate(places, trainer)

    def measure(self, model: Trainer) -> Lesson:
        """The same of the held-out rows."""
        return self._guide.measure(model)

    def losses(self, model: Trainer) -> Losses:
        """Of each held-out row."""
        return self._guide.losses(model)

    @property
    def tokens(self) -> int:
        """Supervised tokens of what is measured."""
        return self._guide.tokens

    def warnings(self, measured: object) -> Iterator[str]:
        """Nothing is known that looks wrong."""
        return iter(())

    def _round_of(self, step: int) -> int:
        """Of a step (from 1), from 0."""
        return (step - 1) * self._recipe.teacher.rounds // self._steps

    def _places(self, number: int) -> list[int]:
        """The training rows that a round's steps take."""
        train, count = self._recipe.train, len(self._train)
        end = train.rows_over(count)
        batches = (
            batch_indices(count, train.rows_per_step, train.seed, step - 1, end)
            for step in range(1, self._steps + 1)
            if self._round_of(step) == number
        )
        return [int(place) for place in np.unique(np.concatenate(list(batches)))]

    def _answered(
        self, number: int, places: Sequence[int], trainer: Trainer
    ) -> Generator[Event, None, dict[int, list[int]]]:
        """The ids of an answer to each prompt; what they are goes by the seed, the round and the weights."""
        prompts = {place: _prompt(self._train[place]) for place in places}
        ordered = sorted(places, key=lambda place: (len(prompts[place]), place))
        tokenizer, seed = self._prepared.tokenizer, self._recipe.train.seed * 1_000_003 + number * 1009
        assert tokenizer is not None
        answers: dict[int, list[int]] = {place: [] for place in places}
        limit = self._recipe.teacher.answer_tokens
        lengths = [len(prompts[place]) + limit for place in ordered]
        for numbers in answer_batches.batches(range(len(ordered)), lengths, answer_batches.ROWS):
            batch = [ordered[number] for number in numbers]
            sampling = Sampling(1, seed=(seed + numbers[0]) % SEEDS, max_tokens=limit)
            for step in trainer.answer([prompts[place].tolist() for place in batch], sampling, tokenizer.stop_ids):
                for place, token in zip(batch, step, strict=True):
                    answers[place] += [] if token is None else [token]
            if stop_asked(self._commands):
                raise Stopped
            yield Progress("prompts answered by the student", numbers[-1] + 1, len(ordered))
        self._folder.mkdir(exist_ok=True)
        kept = {str(place): ids for place, ids in answers.items()}
        atomic.write_text(self._folder / f"{number + 1}.json", hashes.seal(kept))
        return answers

    def _kept(self, number: int) -> dict[int, list[int]] | None:
        """What was answered in a round; None if that is not there, whole."""
        try:
            kept, sealed = hashes.unseal((self._folder / f"{number + 1}.json").read_text(encoding="utf-8"))
            answers = {int(place): [int(token) for token in ids] for place, ids in kept.items()}
        except (OSError, ValueError, TypeError):
            return None
        return answers if sealed and set(self._places(number)) <= answers.keys() else None

    def _example(self, place: int, answer: Sequence[int]) -> Example:
        """A prompt with the student's answer, of which each token is learned."""
        prompt = _prompt(self._train[place])
        ids = np.concatenate([prompt, np.array(answer, np.int32)])
        weights = np.concatenate([np.zeros(len(prompt), np.float32), np.ones(len(answer), np.float32)])
        return Example(ids, weights)

    def _reading(self, place: int, example: Example) -> Example:
        """The same as the teacher reads it: one that is the model itself is shown the row."""
        if self._recipe.teacher.model != SELF:
            return example
        tokenizer = self._prepared.tokenizer
        assert tokenizer is not None
        return shown(example, between(self._prepared.layout, tokenizer), tokenizer, self._train[place])


def _prompt(row: Example) -> NDArray[np.int32]:
    """What stands before a row's first answer; of plain text its first token."""
    first = np.flatnonzero(row.weights > 0)
    return row.ids[: max(1, int(first[0]))]
