"""A chat from Python: one question at a time, and all answers to it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from gemmalocal.api import errands
from gemmalocal.api.answers import Answer, ToolAnswers, to_call
from gemmalocal.errors import RecipeError, UsageFault
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Cleared, Declined, Event, Failed
from gemmalocal.workspace import chats, tool_table, transcript
from gemmalocal.workspace.tool_table import OpenCalls, ToolTable


class Conversation:
    """Voices (the base model, runs) that are asked together and remember what was said; each answers for itself.

    `sampling` is how answers are drawn, as it was wished, `tools` are those that may be called. None is ever run.
    """

    def __init__(
        self, names: Sequence[str], base: bool, sampling: dict[str, Any], tools: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Begin one with runs by name or folder.

        Raises `RecipeError` for sampling that is none, `UsageFault` for tools that are none, and `UnknownRun`.
        """
        hint = f"What can be set: {', '.join(chats.LIMITS)}."
        if unknown := sampling.keys() - chats.LIMITS:
            raise RecipeError(f"There is no setting {min(unknown)}.", hint)
        try:
            drawn = chats.checked_settings(sampling)
        except ValueError as error:
            raise RecipeError(f"{error}.", hint) from error
        declared = [tool_table.declared(tool, "The list of tools") for tool in tools]
        job = chats.start(names, base, drawn, errand=True, tools=declared)
        self.sampling, self.tools = sampling, list(tools)
        self._job, self._talk, self._closed = job, transcript.Talk(), False
        self._events = errands.news(job)

    @property
    def names(self) -> list[str]:
        """Who speaks; waits until the model is loaded."""
        while not self._talk.names:
            self._next()
        return self._talk.names

    def ask(self, prompt: str, system: str = "") -> dict[str, Answer]:
        """The answer of each voice, by its name: a text, and the tools that it calls.

        Raises what ended the chat, and `UsageFault` for no question, and for tools that a voice cannot be told.
        """
        self._check_open()
        if not prompt.strip():
            raise UsageFault("Nothing was asked.", "Give a prompt with a text.")
        deaf = [name for name, form in zip(self.names, self._talk.forms, strict=True) if form != "chat"]
        if self.tools and deaf:
            raise UsageFault(f"No tools can be told to {', '.join(deaf)}.", "Ask a run of conversations.")
        return self._asked(do="ask", text=prompt, system=system)

    def answer(self, given: ToolAnswers) -> dict[str, Answer]:
        """Go on from what tools answer to the last calls: by the tool's name, or a function of a call that gives it.

        An answer is a text, or values that JSON has. Gives what each voice says then; raises as `ask` does.
        """
        self._check_open()
        remembered = self._talk.remembered
        calls = OpenCalls.of(remembered[-1], ToolTable([])) if remembered else None
        if calls is None or not calls.any:
            raise UsageFault("No tool was called.", "Ask first; what is called is in the `calls` of an answer.")
        while (call := calls.next) is not None:
            calls.take(to_call(given, call))
        return self._asked(do="answer", answers=calls.as_command)

    def _check_open(self) -> None:
        if self._closed:
            raise UsageFault("This chat is closed.", "Begin another: gemmalocal.chat(...).")

    def _asked(self, **command: Any) -> dict[str, Answer]:
        """What all voices say to a command, once they have."""
        names, before = self.names, len(self._talk.exchanges)
        self._job.ask(**command)
        while len(self._talk.exchanges) == before or not self._talk.exchanges[-1].whole:
            if isinstance(event := self._next(), Declined):
                raise UsageFault(f"It was not asked: {event.why}.", "Ask something else.")
        answers = self._talk.exchanges[-1].answers
        return {
            name: Answer(said.text, list(said.done.calls) if said.done else [])
            for name, said in zip(names, answers, strict=True)
        }

    def clear(self) -> None:
        """Let the voices forget what was said."""
        if self._talk.exchanges:
            self._job.ask(do="clear")
            while not isinstance(self._next(), Cleared):
                pass

    def close(self) -> None:
        """End it, and give its memory back."""
        if not self._closed:
            self._closed = True
            self._job.kill()
            self._job.ended(errands.STOPS)
            shutil.rmtree(self._job.directory, ignore_errors=True)

    def _next(self) -> Event:
        """The next event, taken in; raises why there is none any more."""
        for event in self._events:
            transcript.fold(self._talk, event)
            if isinstance(event, Failed):
                raise errands.failure(event)
            return event
        raise history.death(self._job)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Conversation({', '.join(self._talk.names) or 'not ready yet'})"
