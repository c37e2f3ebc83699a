"""Where to write a file."""

from __future__ import annotations

from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input, Static

from gemmalocal.files import paths
from tui.screens.dialog import Dialog


class AskPathScreen(Dialog[Path | None]):
    """Gives a path; one that exists is only taken at the second Enter."""

    BINDINGS = [Binding("escape", "dismiss(None)", "Back")]
    taking = "Save"

    def __init__(self, question: str, path: Path) -> None:
        super().__init__(question)
        self._path, self._warned = path, ""

    def body(self) -> ComposeResult:
        """The path, a warning."""
        yield Input(str(self._path))
        yield Static(id="warning", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take it, or warn."""
        path = paths.expanded(event.value)
        if not event.value.strip():
            self.query_one("#warning", Static).update("Write the name of a file.")
        elif not path.parent.is_dir():
            self.query_one("#warning", Static).update(f"There is no folder {path.parent}.")
        elif path.exists() and self._warned != event.value:
            self._warned = event.value
            self.query_one("#warning", Static).update("It exists. Enter replaces it, and its comments are lost.")
        else:
            self.dismiss(path)
