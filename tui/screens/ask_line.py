"""A line to be written: a number to go to, words to look for, a name."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input

from tui.screens.dialog import Dialog


class AskLineScreen(Dialog[str | None]):
    """Gives what was written, which may be nothing; None for Escape."""

    BINDINGS = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(self, question: str, line: str = "", placeholder: str = "") -> None:
        super().__init__(question)
        self._line, self._placeholder = line, placeholder

    def body(self) -> ComposeResult:
        """The line to write it in."""
        yield Input(self._line, placeholder=self._placeholder)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """That."""
        self.dismiss(event.value.strip())
