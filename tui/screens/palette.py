"""The palette: what can be done, found by a few letters; and a choice among commands of any kind, such as themes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.fuzzy import FuzzySearch
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from tui.commands import Command
from tui.screens.dialog import Dialog
from tui.widgets.options import Options

WORDS, KEY = 30, 7  # cells of what a command is called, and of its key
MOST = 60  # that are listed: more letters find the others


class Palette(Dialog[Command | None]):
    """Gives the command that was chosen. `more` are only listed once something is written, below the `first`."""

    BINDINGS = [
        Binding("down", "move(1)", "Down", show=False),
        Binding("up", "move(-1)", "Up", show=False),
        Binding("pagedown", "move(10)", "Page down", show=False),
        Binding("pageup", "move(-10)", "Page up", show=False),
        Binding("escape,ctrl+p", "dismiss(None)", "Back"),
    ]
    taking = "Do it"

    def __init__(self, heading: str, first: Sequence[Command], more: Sequence[Command] = ()) -> None:
        super().__init__(heading, "palette")
        self._first, self._more = first, more
        self._listed: list[Command] = []
        self._search = FuzzySearch()

    def body(self) -> ComposeResult:
        """A line, and what is like it."""
        line = Input(placeholder="a few letters of what you want to do", compact=True, id="wanted")
        line.HELP = "A few letters of a command, of a run or of a recipe; they need not stand together."  # type: ignore[misc]
        yield line
        commands = Options(id="commands")
        commands.can_focus = False  # the line keeps the focus, and moves the cursor here
        yield commands

    def on_mount(self) -> None:
        """All of the first."""
        self._list("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """What is like that."""
        self._list(event.value.strip())

    def _list(self, query: str) -> None:
        ranked: list[tuple[Command, Sequence[int]]] = [(command, ()) for command in self._first]
        if query:
            ranked = [*self._ranked(query, self._first), *self._ranked(query, self._more)]
        self._listed = [command for command, _ in ranked[:MOST]]
        options = self.query_one("#commands", OptionList)
        options.clear_options()
        options.add_options([Option(drawn(command, at)) for command, at in ranked[:MOST]])
        if not self._listed:
            options.add_option(Option("Nothing is called like that.", disabled=True))
        options.highlighted = 0 if self._listed else None

    def _ranked(self, query: str, commands: Sequence[Command]) -> list[tuple[Command, Sequence[int]]]:
        """The commands that have the letters, the best first, with where these are."""
        matches: list[tuple[float, Command, Sequence[int]]] = []
        for command in commands:
            score, offsets = self._search.match(query, command.words)
            if not score and query.casefold() in command.about.casefold():
                score, offsets = 0.001, ()
            if score:
                matches.append((score, command, offsets))
        return [(command, offsets) for _, command, offsets in sorted(matches, key=lambda each: -each[0])]

    def action_move(self, by: int) -> None:
        """The cursor, that far, and not over an end."""
        options = self.query_one("#commands", OptionList)
        if self._listed:
            options.highlighted = min(max(0, (options.highlighted or 0) + by), len(self._listed) - 1)

    def _take(self) -> None:
        """The one under the cursor."""
        at = self.query_one("#commands", OptionList).highlighted
        if at is not None and at < len(self._listed):
            self.dismiss(self._listed[at])

    def on_input_submitted(self) -> None:
        """Enter in the line."""
        self._take()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click."""
        self._take()


def drawn(command: Command, at: Sequence[int]) -> Content:
    """A command on a line; the letters that were found stand out."""
    words = Content(command.words)
    for offset in at:
        words = words.stylize("underline", offset, offset + 1)
    gap = " " * max(1, WORDS - words.cell_length)
    return Content.assemble(words, gap, (command.key.rjust(KEY), "bold $primary"), "  ", (command.about, "$muted"))
