"""Work beside the event loop that may outlive what started it."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from textual.app import ScreenStackError
from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.worker import Worker


def beside(
    node: DOMNode, work: Coroutine[Any, Any, None], group: str = "default", exclusive: bool = False
) -> Worker[None]:
    """Run `work` until it ends or `node` is gone; of the same `group`, if `exclusive`, only the newest.

    A screen loses its widgets, and an app its screens, a moment before their workers are cancelled: what these would
    draw then has no place.
    """

    async def until_gone() -> None:
        with suppress(NoMatches, ScreenStackError):
            await work

    return node.run_worker(until_gone(), group=group, exclusive=exclusive)
