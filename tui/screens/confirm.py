"""A question before something is lost. Its yes is a button: no letter that is typed on says it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Button, Static

from tui.screens.dialog import Dialog


class ConfirmScreen(Dialog[bool]):
    """Gives True for yes; the focus begins on no."""

    BINDINGS = [
        Binding("left,right", "app.focus_next", "Other answer", key_display="← →"),
        Binding("n,escape", "dismiss(False)", "No"),
    ]

    def __init__(self, question: str, consequence: str, verb: str) -> None:
        super().__init__(question)
        self._consequence, self._verb = consequence, verb

    def body(self) -> ComposeResult:
        """What follows from a yes, two buttons."""
        yield Static(self._consequence, markup=False)
        with Horizontal(classes="buttons"):
            yield Button("No", id="no")
            yield Button(f"Yes, {self._verb.lower()}", id="yes", variant="error")

    @property
    def ready(self) -> bool:
        """The focus is on no: only then a key moves it."""
        return self.focused is not None

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The button's answer."""
        self.dismiss(event.button.id == "yes")


class LeaveScreen(ConfirmScreen):
    """Gives True where somebody would rather lose what is not saved than stay."""
