"""Tools in a conversation of the app: which there are, and what is answered to the calls of the last answers."""

from __future__ import annotations

from pathlib import Path

from gemmalocal.tool_calls.shown import written
from gemmalocal.workspace import tool_table, transcript
from gemmalocal.workspace.tool_table import OpenCalls, ToolTable

ToolAnswers = list[list[dict[str, str]]]  # by voice, as a chat takes them


class ToolTalk:
    """Answers by the table; where that has none, as somebody types."""

    def __init__(self, table: ToolTable | None = None) -> None:
        self.table = table or ToolTable([])
        self._open: OpenCalls | None = None
        self._rounds = 0

    @classmethod
    def of_file(cls, file: str) -> ToolTalk:
        """That with the tools of a file, none without a name; raises `UsageFault`."""
        return cls(tool_table.load(Path(file).expanduser()) if file else None)

    @property
    def asked(self) -> str:
        """The call that somebody has to answer; "" if there is none."""
        call = self._open.next if self._open else None
        return written(call) if call else ""

    def of(self, exchange: transcript.Exchange) -> ToolAnswers | None:
        """What is answered to an exchange that has just come to its end; None where that is for somebody to say."""
        self._rounds = self._rounds + 1 if exchange.asked.answers else 0
        calls = OpenCalls.of(exchange, self.table)
        self._open = calls if calls.any and self.table.tools and self._rounds < tool_table.ROUNDS else None
        return self._complete()

    def take(self, text: str) -> ToolAnswers | None:
        """The answer to the call that is asked for."""
        if self._open is not None and text:
            self._open.take(text)
        return self._complete()

    def _complete(self) -> ToolAnswers | None:
        if self._open is None or self._open.next is not None:
            return None
        answers, self._open = self._open.as_command, None
        return answers
