"""One of a list that is read when it is asked for, or a path that is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from tui.background import run_in_background
from tui.screens.dialog import Dialog
from tui.widgets.options import Options
from tui.widgets.sources import PathInput

Offers = list[tuple[Content, str]]


class Offered(Options):
    """A list that says how one is taken."""

    BINDINGS = [Binding("enter", "select", "Choose")]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where there is something to take."""
        return self.highlighted is not None if action == "select" else True


class PickScreen(Dialog[str | None]):
    """Gives the id of one of `offers()`, which runs off the event loop; with a `prompt`, or what was written."""

    BINDINGS = [Binding("escape", "dismiss(None)", "Back")]
    taking = "Choose"

    def __init__(self, title: str, offers: Callable[[], Offers], prompt: str = "") -> None:
        super().__init__(title, "offers")
        self._offers, self._prompt = offers, prompt
        self.ready = False  # keys wait for the list

    def body(self) -> ComposeResult:
        """List, line."""
        yield Offered(id="offers")
        if self._prompt:
            yield PathInput(self._prompt)

    def on_mount(self) -> None:
        """Read the list."""
        run_in_background(self, self._fill)

    async def _fill(self) -> None:
        offers = await asyncio.to_thread(self._offers)
        if not self.is_attached:
            return
        options = self.query_one(Offered)
        options.add_options([Option(words, id=name) for words, name in offers] or [Option("none yet", disabled=True)])
        if offers:
            options.highlighted = 0
            options.focus()
        self.ready = True
        self.refresh_bindings()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """That one."""
        self.dismiss(event.option.id)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """What was written."""
        if event.value.strip():
            self.dismiss(event.value.strip())
