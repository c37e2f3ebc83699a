"""A question whose yes cannot be taken back."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Button, Static

from tui.screens.dialog import Dialog


class ConfirmScreen(Dialog[bool]):
    """Gives True for yes; the focus begins on no."""

    BINDINGS = [
        Binding("y", "dismiss(True)", "Yes"),
        Binding("n,escape", "dismiss(False)", "No"),
        Binding("left,right", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, consequence: str, verb: str) -> None:
        super().__init__(question)
        self._consequence, self._verb = consequence, verb

    def body(self) -> ComposeResult:
        """What follows from a yes, two buttons."""
        yield Static(self._consequence, markup=False)
        with Horizontal(classes="buttons"):
            yield Button("No", id="no")
            yield Button(self._verb, id="yes", variant="error")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The button's answer."""
        self.dismiss(event.button.id == "yes")
