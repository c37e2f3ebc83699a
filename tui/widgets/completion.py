"""What a line of a form may go on with: names that are known, and paths."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from textual.suggester import Suggester

from tui.widgets.sources import completed


class Completion(Suggester):
    """The first of `names()` that goes on from what is written, else a path; both are read off the event loop."""

    def __init__(self, names: Callable[[], Iterable[str]] = tuple) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._names = names

    async def get_suggestion(self, value: str) -> str | None:
        """What is written, made longer."""
        return await asyncio.to_thread(self._suggested, value) if value else None

    def _suggested(self, value: str) -> str | None:
        known = (name for name in self._names() if name.startswith(value) and name != value)
        return next(known, None) or completed(value)
