"""A line to be written: a number to go to, words to look for, a name."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input, Static

from gemmalocal.errors import GemmalocalError
from tui.remedies import in_app
from tui.screens.dialog import Dialog


class AskLineScreen(Dialog[str | None]):
    """Gives what was written, which may be nothing; None for Escape.

    What `check` raises is told below the line while it is written, and the question stays until the line can be taken.
    """

    BINDINGS = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(
        self,
        question: str,
        line: str = "",
        placeholder: str = "",
        check: Callable[[str], object] | None = None,
        taking: str = "Take",
    ) -> None:
        super().__init__(question)
        self.taking = taking
        self._line, self._placeholder, self._check = line, placeholder, check

    def body(self) -> ComposeResult:
        """The line to write it in, and what is wrong with it."""
        yield Input(self._line, placeholder=self._placeholder)
        if self._check is not None:
            yield Static(id="warning", markup=False)

    def on_mount(self) -> None:
        """Say what is wrong with the line that is offered."""
        self._look(self._line)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what is wrong, as soon as something is there."""
        self._look(event.value)

    def _look(self, line: str) -> None:
        if self._check is not None:
            self.query_one("#warning", Static).update(self._wrong(line) if line.strip() else "")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """That, if it can be taken."""
        if wrong := self._wrong(event.value):
            self.query_one("#warning", Static).update(wrong)
        else:
            self.dismiss(event.value.strip())

    def _wrong(self, line: str) -> str:
        try:
            if self._check is not None:
                self._check(line.strip())
        except GemmalocalError as error:
            return f"{error.message} {in_app(error.hint)}".strip()
        return ""
