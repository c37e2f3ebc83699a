"""How long the rest takes, by the answers that came lately."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from gemmalocal.jobs.events import Counted
from gemmalocal.pipelines.shared.background import UNKNOWN, Teller
from gemmalocal.synthesis.asking import AskAuthor, Prompt, Remembered, Unanswered

LATELY = 32  # answers


class AnswerPace:
    """Answers of a model as they come, several at once or not; those that were known take no time and do not count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times = deque([clock()], maxlen=LATELY + 1)  # of the begin, and of each answer

    def answered(self) -> None:
        """One more answer came."""
        self._times.append(self._clock())

    def seconds(self, answers: float) -> float | None:
        """How long so many more answers take; None if none has come yet."""
        count = len(self._times) - 1
        return round(answers * (self._times[-1] - self._times[0]) / count, 1) if count else None


class Work:
    """How far the rows are: told at each percent, with the time left; and the author, asked through it."""

    def __init__(
        self,
        tell: Teller,
        passages: int,
        remembered: Remembered | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell, self._remembered, self._pace = tell, remembered, AnswerPace(clock)
        self._asks = remembered is not None
        self.begin("passages", passages)

    def begin(self, activity: str, total: int) -> None:
        """Something else is counted from now on."""
        self._activity, self._done, self._total = activity, 0, total
        self._answers, self._each = 0, 1.0  # so far, and for each of what is counted

    def ask(self, prompts: Iterable[Prompt]) -> Iterator[tuple[int, str | Unanswered]]:
        """Ask the author; a stop is noticed after each answer."""
        assert self._remembered is not None
        yield from self.through(self._remembered)(prompts)

    def through(self, remembered: Remembered) -> AskAuthor:
        """What asks anybody in the same way, from now on."""
        self._asks = True

        def ask(prompts: Iterable[Prompt]) -> Iterator[tuple[int, str | Unanswered]]:
            asked = remembered.asked
            for number, answer in remembered(prompts):
                self._answers += 1
                while asked < remembered.asked:
                    asked += 1
                    self._pace.answered()
                self._tell_progress()
                yield number, answer

        return ask

    def advance(self, counted: Callable[[], Counted] | None = None, steps: int = 1) -> None:
        """Some more of what is counted is done; what that came to is told at each percent."""
        before, self._done = self._done, min(self._done + steps, self._total)
        # One that was told mistakes took more answers than one: so will others.
        self._each = max(1.0, self._answers / max(1, self._done))
        if counted and 100 * self._done // self._total > 100 * before // self._total:  # at most each percent
            self._tell.say(counted())
        self._tell_progress()

    def _tell_progress(self) -> None:
        left = self._pace.seconds(self._each * (self._total - self._done)) if self._asks else None
        unknown = UNKNOWN if self._asks else None  # known answers come at no pace that tells of others
        self._tell(self._activity, self._done, self._total, unknown if left is None else left)
