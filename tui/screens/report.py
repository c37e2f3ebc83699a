"""A report of many lines, to read: what `gemmalocal check` prints."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.screens.dialog import Dialog


class ReportScreen(Dialog[None]):
    """Shows a text that scrolls."""

    BINDINGS = [Binding("escape,q", "dismiss", "Close"), Binding("y", "copy", "Copy")]

    def __init__(self, title: str, text: Text) -> None:
        super().__init__(title, "large report")
        self._text = text

    def body(self) -> ComposeResult:
        """The text."""
        with VerticalScroll():
            yield Static(self._text)

    def action_copy(self) -> None:
        """All of it, without colours."""
        self.app.copy_to_clipboard(self._text.plain)
        self.notify("Copied.")
