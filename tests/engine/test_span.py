"""A run in a box of time: annealed and done when it ends, also where the machine slows down or the run was killed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gemmalocal.backends.protocol import Update
from gemmalocal.data.batches import MicroBatch
from gemmalocal.engine import checkpoints, loop
from gemmalocal.engine.pause import PauseControl
from gemmalocal.engine.schedule import learning_rate, timed_learning_rate
from gemmalocal.engine.span import Timed
from gemmalocal.jobs.events import Evaluated, Event, Finished, Notice, Saved, Step
from gemmalocal.planning.pressure import Level, Strain
from gemmalocal.recipe.schema import SampleSpec, TrainSpec
from tests.engine.test_divergence import only
from tests.engine.toy import Toy, work

BOX = 10.0  # minutes
ANSWER = 20.0  # seconds


@dataclass
class Counting:
    """A clock that moves only by what is done."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Slow(Toy):
    """A toy that takes 6 s a step and 10 s an evaluation; as often longer as `slower` says at that time."""

    clock: Counting = field(default_factory=Counting)
    slow_from: float = 1e9  # seconds since the clock's beginning, from when all takes `slower` times as long
    slower: float = 3.0
    evaluations: list[float] = field(default_factory=list)  # when each row of one is begun

    def spend(self, seconds: float) -> None:
        self.clock.now += seconds * (self.slower if self.clock.now - 1000 >= self.slow_from else 1)

    def apply(self, learning_rate: float, count: float | None = None) -> Update:
        self.spend(6)
        return super().apply(learning_rate, count)

    def evaluate(self, parts: Sequence[MicroBatch]) -> tuple[float, int]:
        self.evaluations.append(self.clock.now)
        self.spend(10 / 3)  # of three rows, one after the other
        return super().evaluate(parts)

    def save(self, directory: Path) -> None:
        self.spend(2)
        super().save(directory)


@dataclass
class Boxed:
    """One process's part of a timed run; `stop_at` so many of its steps it is asked to stop, or is killed."""

    job: loop.TrainingRun
    toy: Slow
    prompts: int = 0
    paused: float = 0.0  # seconds after the third step
    answer: float = ANSWER
    answered: int = 0  # after training
    events: list[Event] = field(default_factory=list)
    begun: float = 0.0

    def span(self) -> Timed:
        samples = SampleSpec(prompts=["a"] * self.prompts)
        return Timed(self.job.spec, self.job.spec.minutes or 0, samples, clock=self.toy.clock)

    def run(self, kill_at: int = 0, loading: float = 5.0) -> Boxed:
        self.begun = self.toy.clock.now
        span = self.span()
        self.toy.clock.now += loading
        standing = loop.resume(self.job, self.toy)
        span.go_on(standing.time)
        strained = iter([Level.NORMAL] * 2 + [Level.WARN] * bool(self.paused))
        brake = PauseControl(
            lambda: False, lambda: Strain(next(strained, Level.NORMAL)), lambda seconds: self.wait(self.paused)
        )

        def sample(step: int) -> Iterator[Event]:
            for _ in range(bool(self.prompts)):
                with span.spend("answer"):
                    self.toy.spend(self.answer)
            yield from ()

        for event in loop.train(self.job, self.toy, standing, brake, sample, span):
            self.events.append(event)
            if kill_at and isinstance(event, Step) and event.step == kill_at:
                return self
        self.toy.spend(2)  # the adapter is put in its place, and the prompts are answered
        while self.answered < span.answers(self.prompts) and not span.is_used_up():
            with span.spend("answer"):
                self.toy.spend(self.answer)
            self.answered += 1
        return self

    def wait(self, seconds: float) -> None:
        self.toy.clock.now += seconds

    @property
    def took(self) -> float:
        return self.toy.clock.now - self.begun


def boxed(folder: Path, toy: Slow | None = None, prompts: int = 0, paused: float = 0.0, **fields: int) -> Boxed:
    job = work(folder, 1, schedule="cosine", **{"evaluate_every": 10, "save_every": 10, **fields})
    spec = TrainSpec.model_validate({**job.spec.model_dump(), "steps": None, "minutes": BOX})
    return Boxed(replace(job, spec=spec, steps=None), toy or Slow(), prompts, paused)


@pytest.mark.parametrize("prompts", [0, 3])
def test_it_ends_in_time_and_annealed(tmp_path: Path, prompts: int) -> None:
    run = boxed(tmp_path, prompts=prompts).run()
    steps, (ending,) = only(Step, run.events), only(Finished, run.events)
    assert 60 * BOX - 30 < run.took <= 60 * BOX
    assert ending.message == f"{len(steps)} steps in {'10' if not prompts else '9'} min"
    rates = [step.learning_rate for step in steps]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[-1] < 0.3 * 0.01) == (0.3, True)
    assert only(Evaluated, run.events)[-1].step == only(Saved, run.events)[-1].step == steps[-1].step
    assert [step.in_all[0] for step in steps[:-1]] == ["~"] * (len(steps) - 1)
    assert steps[-1].in_all == str(len(steps))
    assert abs(steps[10].steps - len(steps)) <= 3  # what it said it would be
    left = [step.left for step in steps]
    assert left == sorted(left, reverse=True)


@pytest.mark.parametrize("slow_from", [0.0, 120.0, 300.0, 480.0, 560.0])
@pytest.mark.parametrize("prompts", [0, 3])
def test_it_ends_in_time_where_all_becomes_three_times_slower(tmp_path: Path, slow_from: float, prompts: int) -> None:
    run = boxed(tmp_path, Slow(slow_from=slow_from), prompts).run()
    at_once = 10 + 2 + 2 + ANSWER * (prompts + bool(prompts))  # what the end takes, begun when the load came
    assert run.took <= max(1.05 * 60 * BOX, slow_from + 3 * (at_once + 4 * 6))
    rates = [step.learning_rate for step in only(Step, run.events)]
    assert rates[-1] < 0.3 * 0.05 or (prompts and slow_from > 200)  # else the end came too soon to be annealed


@pytest.mark.parametrize("slower", [5.0, 8.0])
def test_an_evaluation_and_an_answer_tell_that_the_machine_is_slower(tmp_path: Path, slower: float) -> None:
    """No step is begun any more, for it alone would take what is left."""
    plain = boxed(tmp_path / "plain", prompts=1)
    plain.answer = 2.0
    plain.run()
    late = max(begun for begun in plain.toy.evaluations if begun <= 1000 + 450)
    run = boxed(tmp_path / "slower", Slow(slow_from=late - 1000, slower=slower), prompts=1)
    run.answer = 2.0
    run.run()
    assert run.took <= 1.05 * 60 * BOX


@pytest.mark.parametrize(("answer", "answered"), [(20.0, 4), (40.0, 2), (100.0, 1)])
def test_answers_take_a_small_part_of_the_time(tmp_path: Path, answer: float, answered: int) -> None:
    run = boxed(tmp_path, prompts=4)
    run.answer = answer
    run.run()
    assert run.answered == answered
    assert run.took <= 60 * BOX
    assert len(only(Step, run.events)) > 20


@pytest.mark.parametrize("killed_at", [1, 15, 40])
def test_one_that_was_killed_has_what_was_left(tmp_path: Path, killed_at: int) -> None:
    boxed(tmp_path).run(kill_at=killed_at)
    left = 60 * BOX - checkpoints.standing(checkpoints.existing(tmp_path)[-1]).time["spent"]
    second = boxed(tmp_path).run()
    assert left - 30 < second.took <= left
    assert only(Step, second.events)[-1].learning_rate < 0.3 * 0.01
    third = boxed(tmp_path).run()  # killed after its last save: nothing is left, and nothing more is trained
    assert [type(event) for event in third.events] == [Finished]


def test_a_pause_of_the_machine_does_not_count(tmp_path: Path) -> None:
    plain, paused = boxed(tmp_path / "a").run(), boxed(tmp_path / "b", paused=100.0).run()
    assert only(Notice, paused.events)
    assert len(only(Step, paused.events)) == len(only(Step, plain.events))
    assert paused.took - plain.took >= 100


def test_a_longer_box_goes_on_and_a_box_that_is_too_small_trains_one_step(tmp_path: Path) -> None:
    first = boxed(tmp_path / "a").run()
    spent = checkpoints.standing(checkpoints.existing(tmp_path / "a")[-1]).time["spent"]
    longer = boxed(tmp_path / "a")
    longer.job = replace(longer.job, spec=longer.job.spec.model_copy(update={"minutes": 2 * BOX}))
    longer.run()
    assert only(Step, longer.events)[0].step == only(Step, first.events)[-1].step + 1
    assert 60 * BOX - 60 < longer.took <= 2 * 60 * BOX - spent
    tiny = boxed(tmp_path / "b")
    tiny.job = replace(tiny.job, spec=tiny.job.spec.model_copy(update={"minutes": 0.1}))
    assert len(only(Step, tiny.run().events)) == 1


def test_a_roll_back_gives_no_time_back(tmp_path: Path) -> None:
    bad = iter([False] * 30 + [True] * 6)
    toy = Slow(plant=lambda loss, draws: float("nan") if next(bad, False) else loss)
    run = boxed(tmp_path, toy).run()
    assert run.took <= 60 * BOX
    assert checkpoints.standing(checkpoints.existing(tmp_path)[-1]).rollbacks


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("warmup", [0, 0.1])
def test_the_rate_by_time_is_that_by_steps_where_steps_take_alike(schedule: str, warmup: float) -> None:
    train = TrainSpec.model_validate({"steps": 100, "schedule": schedule, "warmup": warmup, "learning_rate": 1.0})
    for step in range(1, 101):
        by_time = timed_learning_rate(train, step, (step - 1) / 100, 1 / 100)
        assert by_time == pytest.approx(learning_rate(train, step, 100), abs=0.02)


def test_a_warmup_in_steps_rises_by_steps() -> None:
    train = TrainSpec(minutes=1, warmup=10, learning_rate=1.0)
    assert [timed_learning_rate(train, step, step / 1000, 0.001) for step in (1, 5)] == [0.1, 0.5]
    assert timed_learning_rate(train, 500, 0.999, 0.001) < 0.001
