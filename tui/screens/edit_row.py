"""A row to be written anew: what is asked, and what is answered."""

from __future__ import annotations

from typing import NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static, TextArea

from tui.screens.dialog import Dialog
from tui.screens.leave import leave
from tui.style_sheets import sheets


class Written(NamedTuple):
    """Both sides of a row; `asked` is empty for plain text."""

    asked: str
    answer: str


class EditRowScreen(Dialog[Written | None]):
    """Gives the row's new sides; None if it was left as it is.

    `asked` of None is a row without a question; `before` are the turns before it, which are only shown.
    """

    CSS_PATH = sheets("controls", "dataset")

    BINDINGS = [
        Binding("ctrl+s", "save", "Save", priority=True),
        Binding("escape", "leave", "Back", priority=True),
        Binding("tab", "app.focus_next", "Other side", priority=True),
    ]

    def __init__(self, title: str, asked: str | None, answer: str, before: str = "") -> None:
        super().__init__(title, "large")
        self._asked, self._answer, self._before = asked, answer, before

    def body(self) -> ComposeResult:
        """What was said before, the question, the answer."""
        if self._before:
            yield Static(self._before, id="before", markup=False)
        if self._asked is not None:
            yield Static("Given to the model", classes="side", markup=False)
            yield TextArea(self._asked, id="asked", compact=True)
            yield Static("The answer to train on", classes="side", markup=False)
        yield TextArea(self._answer, id="answer", compact=True)

    def on_mount(self) -> None:
        """Write at once: the answer, or the question of a new row."""
        self.query_one("#asked" if self._asked == "" else "#answer").focus()

    @property
    def _written(self) -> Written:
        asked = self.query_one("#asked", TextArea).text if self._asked is not None else ""
        return Written(asked, self.query_one("#answer", TextArea).text)

    @property
    def unsaved(self) -> str:
        """The row, if it is another now."""
        same = not self.is_mounted or self._written == (self._asked or "", self._answer)
        return "" if same else "What you have written here is lost."

    def action_save(self) -> None:
        """Take it, if it is another."""
        self.dismiss(self._written if self.unsaved else None)

    def action_leave(self) -> None:
        """Back, after a question where something would be lost."""
        leave(self.app, self.unsaved, "Leave", self._go)

    def _go(self) -> None:
        self.dismiss(None)
