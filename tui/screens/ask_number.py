"""A number to go to."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from tui.screens.dialog import Dialog
from tui.widgets.keys import Keys


class AskNumberScreen(Dialog[int | None]):
    """Gives a whole number."""

    BINDINGS = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question, the line."""
        with Vertical(classes="dialog"):
            yield Static(self._question, classes="dialog-title", markup=False)
            yield Input(type="integer")
            yield Keys()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """That one, if it is one."""
        if event.value.strip().isdigit():
            self.dismiss(int(event.value))
