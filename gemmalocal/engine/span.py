"""How long a run is, a count of steps or a box of time; and what its learning rates are by that."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from statistics import median
from typing import Literal, Protocol

from gemmalocal.backends.process_group import ALONE, Group
from gemmalocal.engine.checkpoints import TrainState
from gemmalocal.engine.schedule import learning_rate, timed_learning_rate
from gemmalocal.jobs.plurals import counted
from gemmalocal.planning.throughput import duration
from gemmalocal.recipe.schema import SampleSpec, TrainSpec

Clock = Callable[[], float]  # seconds since anything
Cost = Literal["step", "evaluation", "save", "answer", "calls"]  # what takes time, each once; calls: all of them
COSTS: tuple[Cost, ...] = ("step", "evaluation", "save", "answer", "calls")
LATELY = {
    "step": 8,
    "evaluation": 3,
    "save": 3,
    "answer": 8,
    "calls": 3,
}  # how many of each tell what the next one takes
COMPUTED: tuple[Cost, ...] = ("step", "evaluation", "answer")  # what takes as long each time, on the same machine
SLOW = 2.0  # times as long as expected: less may be a longer row
ANSWERED = 0.15  # of the box, at most, for answers before training, and as much after it
SETTLED = 3  # steps from which their pace is known: the first one also compiles


class Span(Protocol):
    """How long a run is."""

    def is_over(self, state: TrainState) -> bool:
        """Whether a run that goes on from `state` has nothing left to train."""

    def is_last(self, step: int, measured: bool = False) -> bool:
        """Whether no step comes after this one, which has been taken, and `measured` or not; the same on all ranks."""

    def learning_rate(self, step: int) -> float:
        """The rate of the step that comes; the same on all ranks."""

    def steps(self, step: int) -> int:
        """Steps in all, as far as that is known after this one."""

    def left(self) -> float | None:
        """Seconds until all is done; None where only steps are counted."""

    def answers(self, prompts: int) -> int:
        """How many of so many prompts there is time for, before training and after it."""

    def is_used_up(self) -> bool:
        """Whether no time is left."""

    def spend(self, what: Cost) -> AbstractContextManager[None]:
        """Something of the run is done within."""

    def pause(self) -> AbstractContextManager[None]:
        """What is done within takes none of the run's time."""

    def record(self, ended: bool = False) -> dict[str, float]:
        """What a checkpoint keeps of it; `ended` if it is the run's last."""

    def sentence(self, step: int) -> str:
        """How far a run has come, for a person."""


class Counted:
    """A run of so many steps."""

    def __init__(self, train: TrainSpec, steps: int) -> None:
        self._train, self._steps = train, steps

    def is_over(self, state: TrainState) -> bool:
        """Whether all steps are taken."""
        return state.step >= self._steps

    def is_last(self, step: int, measured: bool = False) -> bool:
        """Whether all steps are taken."""
        return step == self._steps

    def learning_rate(self, step: int) -> float:
        """By the count of steps."""
        return learning_rate(self._train, step, self._steps)

    def steps(self, step: int) -> int:
        """As many as were planned."""
        return self._steps

    def left(self) -> float | None:
        """It has no box."""
        return None

    def answers(self, prompts: int) -> int:
        """All of them."""
        return prompts

    def is_used_up(self) -> bool:
        """Never."""
        return False

    def spend(self, what: Cost) -> AbstractContextManager[None]:
        """Nothing is measured."""
        return nullcontext()

    def pause(self) -> AbstractContextManager[None]:
        """Nothing is measured."""
        return nullcontext()

    def record(self, ended: bool = False) -> dict[str, float]:
        """The step says it all."""
        return {}

    def sentence(self, step: int) -> str:
        """Steps of all."""
        return f"{step} of {counted(self._steps, 'step')}"


def box(train: TrainSpec, samples: SampleSpec, group: Group = ALONE) -> Timed | None:
    """The time that a recipe gives, which begins now; None where it counts steps."""
    return None if train.minutes is None else Timed(train, train.minutes, samples, group=group)


class Timed:
    """A run in a box of time, in which the last evaluation, save and answers end too.

    What they will take is known by what they took, and by how much slower steps have become since. The rate falls by
    the share of the time that is left for steps. Rank 0's clock counts.
    """

    def __init__(
        self, train: TrainSpec, minutes: float, samples: SampleSpec, clock: Clock = time.monotonic, group: Group = ALONE
    ) -> None:
        self._train, self._box, self._clock, self._group = train, 60 * minutes, clock, group
        self._prompts, self._samples = len(samples.prompts), samples
        self._begun, self._past = clock(), 0.0  # of this attempt, and seconds of those before
        self._first: float | None = None  # seconds that were spent when the first step began
        self._steps = 0  # of this attempt
        self._slower = deque([1.0, 1.0], 2)  # how many times as long as expected the last two things took
        self._taken: dict[Cost, deque[tuple[float, float | None]]] = {  # seconds, and the pace of steps then
            what: deque(maxlen=LATELY[what]) for what in COSTS
        }

    def go_on(self, record: dict[str, float]) -> None:
        """Take up what a checkpoint kept: what it spent is spent."""
        self._past, self._first = record.get("spent", 0.0), record.get("first")
        for what in COSTS:
            if what in record:
                self._taken[what].append((record[what], record.get("step")))

    def train_by(self, train: TrainSpec) -> None:
        """Let the rates be those of another schedule from now on, such as that of a search's winner."""
        self._train = train

    @property
    def share(self) -> float:
        """How much of the box is spent."""
        return self._spent / self._box

    @property
    def _spent(self) -> float:
        return self._past + self._clock() - self._begun

    def is_over(self, state: TrainState) -> bool:
        """Whether the box was used up by an attempt before, or has no room for another step."""
        ended = self._agreed(state.time.get("ended", 0.0)) >= self._box
        return state.step > 0 and (ended or self.is_last(state.step))

    def is_last(self, step: int, measured: bool = False) -> bool:
        """Whether another step, with what is due before it, would not leave the time for the end."""
        return bool(self._agreed(not self._has_room(step, measured)))

    def _has_room(self, step: int, measured: bool = False) -> bool:
        evaluates = step % self._train.evaluate_every == 0 and not measured
        saves = step % self._train.save_every == 0
        due = self._evaluation * evaluates + self._cost("save") * (evaluates or saves)
        return self._spent + due + self._cost("step") + self._end <= self._box

    @property
    def _evaluation(self) -> float:
        """Seconds of one on the way."""
        answers = self._cost("answer") * (self._samples.during and bool(self._prompts))
        return self._cost("evaluation") + answers + self._cost("calls") * self._samples.calls_during

    @property
    def _end(self) -> float:
        """Seconds that are kept for what comes after the last step: the adapter is saved and then delivered."""
        answers = self._cost("answer") * self.answers(self._prompts)
        return self._evaluation + 2 * self._cost("save") + answers + self._cost("calls")

    def _cost(self, what: Cost) -> float:
        """Seconds that one more takes: as expected, or as the quickest lately if all is slower than steps tell yet."""
        quickest = min((seconds for seconds, _ in self._taken[what]), default=0.0)
        return max(self._expected(what), quickest * min(self._slower))

    def _expected(self, what: Cost) -> float:
        """As the last ones, as much slower as steps have become since."""
        pace = self._pace
        costs = [seconds * max(1.0, pace / (then or pace)) for seconds, then in self._taken[what]]
        return median(costs) if costs else 0.0

    @property
    def _pace(self) -> float:
        """Seconds of a step lately; 1 before any. Two slow ones in a row are a slower machine, a single one is not."""
        lately = [seconds for seconds, _ in self._taken["step"]]
        return max(median(lately), min(lately[-2:])) if lately else 1.0

    def learning_rate(self, step: int) -> float:
        """By the share of the time for steps that is spent."""
        spent = self._agreed(self._spent)
        self._first = spent if self._first is None else self._first
        room = max(1e-9, self._box - self._agreed(self._end) - self._first)
        return timed_learning_rate(self._train, step, (spent - self._first) / room, self._agreed(self._pace) / room)

    def _agreed(self, value: float) -> float:
        """Rank 0's."""
        return value if self._group.size == 1 else self._group.sum([value if self._group.rank == 0 else 0.0])[0]

    def steps(self, step: int) -> int:
        """As many as there is time for, at the pace of now."""
        if not self._has_room(step):
            return step
        between = self._evaluation / self._train.evaluate_every + self._cost("save") / self._train.save_every
        return step + max(1, int((self._box - self._spent - self._end) / max(1e-9, self._pace + between)))

    def left(self) -> float | None:
        """What is left of the box."""
        return round(max(0.0, self._box - self._spent), 1)

    def answers(self, prompts: int) -> int:
        """One at least, and no more than `ANSWERED` of the box is enough for; all while none has told what it takes."""
        cost = self._cost("answer")
        return min(prompts, max(1, int(ANSWERED * self._box / cost))) if cost else prompts

    def is_used_up(self) -> bool:
        """Whether the box is spent."""
        return self._spent >= self._box

    @contextmanager
    def spend(self, what: Cost) -> Iterator[None]:
        """Measure what is done within."""
        begun = self._clock()
        yield
        seconds, times = self._clock() - begun, 1.0
        if self._taken[what] and what in COMPUTED and self._steps >= SETTLED:
            times = seconds / max(1e-9, self._expected(what))
            times = times if times >= SLOW else 1.0
            self._slower.append(times)
        if what != "step":
            self._taken[what].append((seconds, self._pace * times if self._steps >= SETTLED else None))
            return
        self._steps += 1
        if self._steps == 2:
            self._taken[what].clear()  # of the first one, which also compiles
        self._taken[what].append((seconds, None))
        if self._steps == SETTLED:  # now it is known what the rest is measured against
            for each, taken in self._taken.items():
                if each != "step":
                    self._taken[each] = deque([(cost, then or self._pace) for cost, then in taken], LATELY[each])

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Set the clock aside."""
        begun = self._clock()
        yield
        self._begun += self._clock() - begun

    def record(self, ended: bool = False) -> dict[str, float]:
        """What is spent, and what things take; the box itself if it is used up."""
        costs: dict[str, float] = {what: self._cost(what) for what in COSTS if self._taken[what]}
        first = {} if self._first is None else {"first": self._first}
        return {"box": self._box, "spent": self._spent, "ended": self._box * ended, **first, **costs}

    def sentence(self, step: int) -> str:
        """Steps, and their time."""
        return f"{counted(step, 'step')} in {duration(self._spent)}"
