"""Work beside the event loop that may outlive what started it; and what goes wrong with it, told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from textual.app import ScreenStackError
from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.message import Message
from textual.message_pump import MessagePump
from textual.worker import Worker

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import system_errors

Value = TypeVar("Value")


def run_in_background(
    node: DOMNode, work: Callable[[], Coroutine[Any, Any, None]], group: str = "default", exclusive: bool = False
) -> Worker[None]:
    """Run `work` until it ends or `node` is gone; of the same `group`, if `exclusive`, only the newest.

    What is superseded before its turn came is not begun.

    A screen loses its widgets, and an app its screens, a moment before their workers are cancelled: what these would
    draw then has no place.
    """

    async def until_gone() -> None:
        with suppress(NoMatches, ScreenStackError):
            try:
                await work()
            except (GemmalocalError, OSError) as error:
                tell(node, error)

    return node.run_worker(until_gone, group=group, exclusive=exclusive)


async def follow(look: Callable[[], Value], show: Callable[[Value], None], seconds: float) -> None:
    """Look off the event loop, show what was seen, and again after so long."""
    while True:
        show(await asyncio.to_thread(look))
        await asyncio.sleep(seconds)


def tell(node: MessagePump, error: Exception) -> None:
    """A fault of the system, or of ours, that nobody else has told, as a toast: it never ends the app."""
    from tui.remedies import in_app

    cause = system_errors.explained(error)
    if cause is not None:
        node.app.notify(f"{cause.message} {in_app(cause.hint)}".strip(), severity="error", markup=False)


class Forbearing(MessagePump):  # no DOMNode: Textual would look there for the styles, and not at the screen's own base
    """A screen, or the app, in which such a fault in a key's or a message's handler is told."""

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except (GemmalocalError, OSError) as error:
            tell(self, error)
