"""The place of a screen that is not there yet, and which command does it today."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Center
from textual.widgets import Footer, Static

from tui.screens.watching import Watching
from tui.widgets.title_line import TitleLine

PLACES = {
    "documents": (
        "Documents",
        "This screen is not there yet; the command line makes rows out of documents:\n\n"
        "gemmalocal prepare FOLDER --to docs\n"
        "gemmalocal train docs-qa\n\n"
        "It reads PDF, Word, PowerPoint, web pages, EPUB, Markdown and text; gemmalocal prepare --help says more.",
    ),
    "dataset": (
        "Dataset",
        "This screen is not there yet: rows as cards, to edit and drop.\n\n"
        "In a recipe, ctrl+t (Check) shows what is odd about its rows, and three of them with their supervised "
        "tokens marked; gemmalocal check RECIPE prints the same.",
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
