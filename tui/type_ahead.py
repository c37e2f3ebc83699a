"""Keys that are pressed faster than screens open: each waits until the one before it has had its effect."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress

from textual import events
from textual.app import App
from textual.message_pump import MessagePump
from textual.screen import Screen

from gemmalocal.errors import GemmalocalError
from tui.background import Forbearing, run_in_background, tell

PATIENCE = 5.0  # seconds that a screen may take before keys reach it all the same
LOOK = 0.02  # seconds between two looks at a screen that is not ready
ROUNDS = 2  # a key's way up to the app, and that of what its widget says of it, such as a choice
AT_ONCE = ("ctrl+q", "ctrl+c")


class TypeAhead(Forbearing, App[None]):
    """An app in which no key is lost while a screen opens; screens may say that they are not `ready` yet."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead: deque[events.Key] = deque()
        self._typed = asyncio.Event()
        self._busy = True  # until there is a screen

    def on_mount(self) -> None:
        """Begin to hand keys on."""
        run_in_background(self, self._hand_on, group="type-ahead")
        self._typed.set()

    async def on_event(self, event: events.Event) -> None:
        """A key goes on at once if nothing is under way; else it waits its turn."""
        if isinstance(event, events.Key) and event.key == "ctrl+j":  # Enter, before the terminal was ours
            event = events.Key("enter", "\r")
        if isinstance(event, events.Key) and event.is_forwarded and not self.screen_stack:
            return  # its way up ends where the app does
        if not isinstance(event, events.Key) or event.is_forwarded or (event.key in AT_ONCE and self.screen_stack):
            await super().on_event(event)
        elif self._busy or not self._open_to(event):
            self._ahead.append(event)
            self._typed.set()
        else:
            self._busy = True
            self._typed.set()
            await super().on_event(event)

    async def _hand_on(self) -> None:
        while True:
            await self._typed.wait()
            self._typed.clear()
            self._busy = True
            await self._settled()
            while self._ahead:
                await self._opened(self._ahead[0])
                await self._press(self._ahead.popleft())
                await self._settled()
            self._busy = False

    async def _press(self, key: events.Key) -> None:
        try:
            await super().on_event(key)
        except (GemmalocalError, OSError) as error:
            tell(self, error)

    async def _settled(self) -> None:
        """Until what was pressed has gone its way: from the focus up to the app, and to the screens below."""
        for _ in range(ROUNDS):
            at = self.focused or self.screen
            for node in [*at.ancestors_with_self, *reversed(self.screen_stack)]:
                await _caught_up(node)

    async def _opened(self, key: events.Key) -> None:
        until = time.monotonic() + PATIENCE
        while not self._open_to(key) and time.monotonic() < until:
            await asyncio.sleep(LOOK)

    def _open_to(self, key: events.Key) -> bool:
        """Whether the screen can take it; Escape wants no more than that the screen is there."""
        if not self.screen_stack:
            return False
        screen: Screen[object] = self.screen
        return screen.is_mounted and (key.key == "escape" or getattr(screen, "ready", True))


async def _caught_up(node: MessagePump) -> None:
    """Until a node has handled what it was sent so far, or is gone."""
    done = asyncio.Event()
    if not node.call_later(done.set):
        return
    while not done.is_set() and node.is_running:
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), LOOK)
