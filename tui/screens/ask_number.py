"""A number to go to."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input

from tui.screens.dialog import Dialog


class AskNumberScreen(Dialog[int | None]):
    """Gives a whole number."""

    BINDINGS = [Binding("escape", "dismiss(None)", "Back")]
    taking = "Go there"

    def body(self) -> ComposeResult:
        """The line to write it in."""
        yield Input(type="integer")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """That one, if it is one."""
        if event.value.strip().isdigit():
            self.dismiss(int(event.value))
