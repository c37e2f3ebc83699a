"""The palette: what can be done, found by a few letters."""

from __future__ import annotations

from contextlib import suppress

from textual.command import CommandPalette
from textual.css.query import NoMatches
from textual.worker import Worker

from tui.background import run_in_background


class Palette(CommandPalette):
    """One that may be closed while it searches.

    Its widgets are gone a moment before its search is cancelled, and Textual's own looks for them all the same.
    """

    ID = "--command-palette"

    def __init__(self) -> None:
        super().__init__(id=self.ID)

    def _gather_commands(self, search_value: str) -> Worker[None]:
        search = CommandPalette._gather_commands.__wrapped__  # type: ignore[attr-defined]
        return run_in_background(self, search(self, search_value), group=self._GATHER_COMMANDS_GROUP, exclusive=True)

    def _watch__list_visible(self) -> None:
        with suppress(NoMatches):
            super()._watch__list_visible()

    async def _watch__show_busy(self) -> None:
        with suppress(NoMatches):
            await super()._watch__show_busy()
