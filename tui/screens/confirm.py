"""A question whose yes cannot be taken back."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
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
        super().__init__()
        self._words = question, consequence, verb

    def compose(self) -> ComposeResult:
        """The question, what follows from a yes, two buttons."""
        question, consequence, verb = self._words
        with Vertical(classes="dialog"):
            yield Static(question, classes="dialog-title", markup=False)
            yield Static(consequence, markup=False)
            with Horizontal(classes="buttons"):
                yield Button("No (n)", id="no")
                yield Button(f"{verb} (y)", id="yes", variant="error")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The button's answer."""
        self.dismiss(event.button.id == "yes")
