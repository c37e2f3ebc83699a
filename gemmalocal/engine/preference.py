"""Learning from judgements: what a run does at a step, and when it measures, instead of imitating."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.protocol import Trainer
from gemmalocal.data.judged_rounds import judged_rounds, share_rounds
from gemmalocal.engine import objectives
from gemmalocal.engine.guide import Losses, Told
from gemmalocal.engine.judged_batch import JudgedBatch
from gemmalocal.engine.judged_side import JudgedSide
from gemmalocal.engine.objectives.answers import Answers, Judged
from gemmalocal.engine.reference import Reference
from gemmalocal.engine.shares import log_probabilities
from gemmalocal.engine.tally import Tally
from gemmalocal.jobs.events import Event
from gemmalocal.recipe.objective import ObjectiveSpec

FALLEN = 0.05  # of a chosen answer's log-probability: by so much less it is told
FAR = 20.0  # between the rewards of a pair: more has been learned by heart


class Preference:
    """An objective over answers that are trained on and answers that are measured, with the reference, if it needs one.

    At most `rows` rows stand in a micro-batch.
    """

    def __init__(
        self,
        spec: ObjectiveSpec,
        train: JudgedSide,
        measured: JudgedSide,
        reference: Reference | None,
        rows: int | None,
    ) -> None:
        self._judge: Callable[[Answers], Judged] = objectives.of(spec)
        self.group, self.judges = (2, "pair") if spec.paired else (1, "answer")
        self._train, self._measured, self._reference, self._rows = train, measured, reference, rows
        self._first_chosen = None if reference is None else 0.0  # gained over itself; else what is measured first
        self._told: set[str] = set()

    def before(self, step: int, trainer: Trainer) -> Iterator[Event]:
        """All is there from the beginning."""
        return iter(())

    def accumulate(self, places: NDArray[np.int64], trainer: Trainer) -> Tally:
        """Let a trainer take in a batch, the training examples at these places; what was judged, over all ranks."""
        batch, group = self._batch(self._train, places, trainer), trainer.group
        rounds = judged_rounds(batch.examples, self.group, trainer.shapes, self._rows, group.size)
        tally = Tally()
        for one_round in share_rounds(rounds, group.rank, group.size):
            tally = tally.plus(batch.accumulate(one_round, trainer))
        return Tally(*group.sum(list(tally)))

    def measure(self, model: Trainer) -> Tally:
        """Judge what is measured, without dropout."""
        batch, places = self._measured_batch(model)
        tally, _ = batch.judged(places.tolist(), log_probabilities(batch.examples, self._rows, model))
        return tally

    def losses(self, model: Trainer) -> Losses:
        """Of what is measured: of each pair, or of each answer where these are judged one by one."""
        batch, places = self._measured_batch(model)
        answers = batch.answers(places, log_probabilities(batch.examples, self._rows, model))
        losses = batch.judge(answers).losses
        return Losses(losses, np.ones(len(losses)))

    def _measured_batch(self, model: Trainer) -> tuple[JudgedBatch, NDArray[np.int64]]:
        """All that is measured, and its places."""
        places = np.arange(len(self._measured.examples))
        return self._batch(self._measured, places, model), places

    @property
    def tokens(self) -> int:
        """Supervised tokens of what is measured."""
        return self._measured.examples.supervised

    def warnings(self, measured: Told) -> Iterator[str]:
        """What looks wrong in what was measured; each is said once."""
        figures = measured.figures
        chosen = figures.get("chosen")
        if chosen is not None:
            self._first_chosen = chosen if self._first_chosen is None else self._first_chosen
            if chosen < self._first_chosen - FALLEN * self._usual():
                yield from self._once(
                    "the chosen answers too have become less likely than before training: lower train.learning_rate, "
                    "raise objective.beta, or train on the chosen answers first (objective sft, then start_from)"
                )
        if figures["margin"] > FAR:
            yield from self._once(
                "the margins between chosen and rejected answers have grown very large: the pairs are being learned by "
                "heart; fewer steps or a lower train.learning_rate will do"
            )

    def _once(self, warning: str) -> Iterator[str]:
        if warning not in self._told:
            self._told.add(warning)
            yield warning

    def _usual(self) -> float:
        """How unlikely chosen answers are at first: in nats, or by token where there is no reference."""
        if self._reference is None:
            return abs(self._first_chosen or 0.0)
        side = self._measured
        assert side.examples.labels is not None
        good = side.examples.labels == 1
        return float(np.abs(self._reference.answers(side.examples.indices[good])).mean())

    def _batch(self, side: JudgedSide, places: NDArray[np.int64], model: Trainer) -> JudgedBatch:
        labels = side.examples.labels
        assert labels is not None
        reference = None if self._reference is None else self._reference.answers(side.examples.indices[places])
        return JudgedBatch(
            [side.examples[int(place)] for place in places],
            labels[places] == 1,
            reference,
            self._divergence(side, places, model),
            self._judge,
            self.group,
        )

    def _divergence(self, side: JudgedSide, places: NDArray[np.int64], model: Trainer) -> float:
        """How far the model has moved from the reference on answers that do not belong to their prompts, in nats."""
        if side.mismatched is None or self._reference is None:
            return 0.0
        examples = [side.mismatched[int(place)] for place in places]
        now = log_probabilities(examples, self._rows, model)
        before = self._reference.mismatched(side.examples.indices[places])
        return max(0.0, float(np.subtract(now, before).mean()))
