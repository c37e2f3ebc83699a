"""The place of a screen that is not there yet, and which command does it today."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Center
from textual.widgets import Footer, Static

from tui.screens.watching import Watching
from tui.widgets.title_line import TitleLine

PLACES = {
    "export": (
        "Export",
        "This screen is not there yet; the command line exports, and proves that the export kept the tune:\n\n"
        "gemmalocal export RUN --to gguf --type Q8_0\n"
        "gemmalocal export RUN --to merged\n\n"
        "The adapter itself lies in the run's folder as adapter/, in PEFT's layout.",
    ),
}


class PlaceScreen(Watching):
    """Says plainly what is missing."""

    BINDINGS = [Binding("escape", "app.pop_screen", "Back")]

    def __init__(self, place: str) -> None:
        super().__init__()
        self._title, self._words = PLACES[place]

    def compose(self) -> ComposeResult:
        """Title, words, keys."""
        title = TitleLine()
        title.left, title.right = self._title, "not there yet"
        yield title
        with Center():
            yield Static(self._words, id="place", markup=False)
        yield Footer(compact=True)
