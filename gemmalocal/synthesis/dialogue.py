"""Conversations with an author, many side by side: each goes on as soon as its own answers are there."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import Generic, TypeVar

from gemmalocal.synthesis.asking import AskAuthor, Prompt, Unanswered

Result = TypeVar("Result")
# Yields prompts that may be asked at once, is sent their answers in the same order, and returns what it comes to.
Dialogue = Generator[list[Prompt], list[str | Unanswered], Result]

QUIET = 64  # dialogues in a row that end without a question, after which their results are handed on


def side_by_side(dialogues: Iterable[Dialogue[Result]], ask: AskAuthor | None) -> Iterator[Result]:
    """What each dialogue comes to, as they end. A new one begins when the author has room and no other has a prompt.

    Without an `ask`, each prompt is `Unanswered`.
    """
    table = _Table(dialogues)
    while not table.empty:
        for number, answer in (ask or _nobody)(table.prompts()):
            table.deliver(number, answer)
            yield from table.take_results()
        yield from table.take_results()


def _nobody(prompts: Iterable[Prompt]) -> Iterator[tuple[int, str | Unanswered]]:
    for number, _ in enumerate(prompts):
        yield number, Unanswered("There is nobody to ask.")


class _Open(Generic[Result]):
    """A dialogue that waits for `missing` answers to its prompts."""

    def __init__(self, dialogue: Dialogue[Result], prompts: list[Prompt]) -> None:
        self.dialogue = dialogue
        self.await_answers(prompts)

    def await_answers(self, prompts: list[Prompt]) -> None:
        self.prompts = prompts
        self.answers: list[str | Unanswered] = [Unanswered("")] * len(prompts)
        self.missing = len(prompts)


class _Table(Generic[Result]):
    """All dialogues: those not begun, those with prompts to ask, and what has come of others."""

    def __init__(self, dialogues: Iterable[Dialogue[Result]]) -> None:
        self._new = iter(dialogues)
        self._waiting = deque[tuple[_Open[Result], int]]()  # prompts to ask: whose, and which
        self._asked = list[tuple[_Open[Result], int]]()  # the same, in the order of this call of the author
        self._results = deque[Result]()
        self._all_begun = False

    @property
    def empty(self) -> bool:
        """Whether, with no prompt under way, nothing is left to do."""
        return self._all_begun and not self._waiting

    def prompts(self) -> Iterator[Prompt]:
        """Prompts until none is ready; what comes of their answers is asked with the next call."""
        self._asked = []
        while self._waiting or self._begin():
            open_dialogue, place = self._waiting.popleft()
            self._asked.append((open_dialogue, place))
            yield open_dialogue.prompts[place]

    def deliver(self, number: int, answer: str | Unanswered) -> None:
        """The answer to the prompt of that number of this call."""
        open_dialogue, place = self._asked[number]
        open_dialogue.answers[place] = answer
        open_dialogue.missing -= 1
        if not open_dialogue.missing:
            self._go_on(open_dialogue)

    def take_results(self) -> Iterator[Result]:
        """What has come of dialogues since the last look."""
        while self._results:
            yield self._results.popleft()

    def _begin(self) -> bool:
        """Begin dialogues until one asks something; False if none did."""
        for _ in range(QUIET):
            if (dialogue := next(self._new, None)) is None:
                self._all_begun = True
                return False
            open_dialogue = _Open(dialogue, [])
            self._go_on(open_dialogue, begun=False)
            if self._waiting:
                return True
        return False

    def _go_on(self, open_dialogue: _Open[Result], begun: bool = True) -> None:
        try:
            prompts = open_dialogue.dialogue.send(open_dialogue.answers) if begun else next(open_dialogue.dialogue)
            while not prompts:
                prompts = open_dialogue.dialogue.send([])
        except StopIteration as end:
            self._results.append(end.value)
            return
        open_dialogue.await_answers(prompts)
        self._waiting.extend((open_dialogue, place) for place in range(len(prompts)))
