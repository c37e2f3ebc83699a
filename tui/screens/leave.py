"""What would be lost by leaving, and the question before it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual.app import App
from textual.dom import DOMNode


def unsaved(screens: Iterable[DOMNode]) -> str:
    """What these screens have that is nowhere else, in sentences; a screen says it by its `unsaved`."""
    return "\n".join(filter(None, (getattr(screen, "unsaved", "") for screen in screens)))


def leave(app: App[None], words: str, verb: str, then: Callable[[], object]) -> None:
    """Do what loses something (in `words`) after a yes; at once where nothing is lost; never ask twice at a time."""
    if not words:
        then()
        return
    from tui.screens.confirm import LeaveScreen  # see LATER in tui.app

    if not isinstance(app.screen, LeaveScreen):
        question = f"{verb} without saving?"

        def answered(sure: bool | None) -> None:
            if sure:
                then()

        app.push_screen(LeaveScreen(question, words, verb), answered)
