"""What a preparation reads: files, folders, globs and addresses, and the line in which one more is written."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input
from textual.widgets.option_list import Option

from gemmalocal.files import paths
from tui.widgets.options import Options


class Sources(Vertical):
    """Holds `chosen`, in the order in which they came, each once."""

    DEFAULT_CSS = """
    Sources { height: auto; }
    Sources OptionList { height: auto; min-width: 12; max-height: 5; border: none; padding: 0; }
    Sources OptionList { background: transparent; }
    Sources OptionList:focus { border: none; }
    """

    class Changed(Message):
        """One came, or went."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen: list[str] = []

    def compose(self) -> ComposeResult:
        """The list, while there is something in it, and the line."""
        yield Chosen(id="chosen")
        yield PathInput("a file, a folder, *.pdf or a web address")

    def on_mount(self) -> None:
        """Nothing is chosen yet, or was before we were there."""
        self._draw()

    def add(self, sources: Sequence[str]) -> None:
        """Choose these too."""
        self.chosen = list(dict.fromkeys([*self.chosen, *sources]))
        self._draw()
        self.post_message(self.Changed())

    def on_input_changed(self, event: Input.Changed) -> None:
        """Nobody else's business before Enter."""
        event.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Choose what was written."""
        event.stop()
        if event.value.strip():
            event.input.value = ""
            self.add([event.value.strip()])

    def on_chosen_removed(self, event: Chosen.Removed) -> None:
        """Choose that one no longer."""
        del self.chosen[event.place]
        self._draw()
        if not self.chosen:
            self.query_one(PathInput).focus()
        self.post_message(self.Changed())

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        sources = self.query_one(Chosen)
        sources.set_options([Option(Content(source)) for source in self.chosen])
        sources.display = bool(self.chosen)


class Chosen(Options):
    """The list; the one under the cursor can be taken out."""

    HELP = "What will be read. **Delete** removes the one under the cursor."
    BINDINGS = [Binding("delete,backspace,x", "remove", "Remove", key_display="del")]

    class Removed(Message):
        """The source at `place` is not wanted."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def action_remove(self) -> None:
        """Tell it."""
        if self.highlighted is not None:
            self.post_message(self.Removed(self.highlighted))


class PathInput(Input):
    """A line that completes paths."""

    HELP = "A file, a folder, a pattern such as *.pdf, or a web address. **→** completes it, **Enter** takes it."

    def __init__(self, placeholder: str = "") -> None:
        super().__init__(placeholder=placeholder, suggester=_Paths(), compact=True)


class _Paths(Suggester):
    """The first path that goes on from what is written; read off the event loop."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(completed, value)


def completed(typed: str) -> str | None:
    """`typed`, made longer by the first name in its folder; a folder gets its slash. None if nothing goes on."""
    above, slash, begun = typed.rpartition("/")
    folder = paths.expanded(above + slash) if slash else Path.cwd()
    if not typed or typed == "~":
        return None
    try:
        entries = [(entry.name, entry.is_dir()) for entry in os.scandir(folder) if entry.name.startswith(begun)]
    except (OSError, ValueError):
        return None
    names = sorted(name + "/" * is_folder for name, is_folder in entries if begun or not name.startswith("."))
    return above + slash + names[0] if names else None
