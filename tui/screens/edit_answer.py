"""An answer to be written anew."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static, TextArea

from tui.screens.dialog import Dialog


class EditAnswerScreen(Dialog[str | None]):
    """Gives the new text; None if it was left as it is."""

    BINDINGS = [
        Binding("ctrl+s", "save", "Save", priority=True),
        Binding("escape", "dismiss(None)", "Back", priority=True),
    ]

    def __init__(self, title: str, asked: str, answer: str) -> None:
        super().__init__(title, "large")
        self._asked, self._answer = asked, answer

    def body(self) -> ComposeResult:
        """What was asked, and the answer."""
        if self._asked:
            with VerticalScroll(id="asked", can_focus=False):
                yield Static(self._asked, markup=False)
        yield TextArea(self._answer, id="answer", compact=True)

    def on_mount(self) -> None:
        """Write at once."""
        self.query_one(TextArea).focus()

    def action_save(self) -> None:
        """Take it, if it is another."""
        text = self.query_one(TextArea).text
        self.dismiss(text if text != self._answer else None)
