"""Help: what a screen is for, what has the focus, and every key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from tui.commands import MOVES, about, help_of, is_ours
from tui.screens.dialog import Dialog
from tui.screens.purposes import purpose_of

KEY = 14  # cells


class HelpScreen(Dialog[None]):
    """Shows what was put together while the screen that it is about was in front."""

    BINDINGS = [Binding("escape,question_mark,f1,q", "dismiss", "Close")]

    def __init__(self, text: Content) -> None:
        super().__init__("Help", "large report")
        self._text = text

    def body(self) -> ComposeResult:
        """The text."""
        with VerticalScroll() as scroll:
            scroll.HELP = "The help. Up and down scroll, Escape closes it."  # type: ignore[misc]
            yield Static(self._text)


def help_on(screen: Screen[Any]) -> Content:
    """Prose first, then the screen's keys, then those for moving about."""
    parts: list[Any] = []
    for prose in dict.fromkeys((purpose_of(screen), help_of(screen.focused))):
        if prose:
            parts += [*_prose(prose), "\n\n"]
    ours, others = _sorted(screen)
    for heading, keys in (("Keys", ours), ("Moving about", others)):
        parts.append((f"{heading}\n", "bold $secondary"))
        for key, words in keys:
            parts += [(key.ljust(KEY), "bold $primary"), words, "\n"]
        parts.append("\n")
    return Content.assemble(*parts)


def _prose(text: str) -> Iterator[Any]:
    """Paragraphs whose lines flow; **bold** and *slanted* as they are written."""
    paragraphs = (" ".join(paragraph.split("\n")) for paragraph in text.split("\n\n"))
    for part in re.split(r"(\*\*.+?\*\*|\*.+?\*)", "\n\n".join(paragraphs)):
        if part.startswith("**"):
            yield (part.strip("*"), "bold")
        elif part.startswith("*") and len(part) > 2:
            yield (part.strip("*"), "italic")
        else:
            yield part


def _sorted(screen: Screen[Any]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Keys with what they do: those of commands, and the others; the keys of one action together."""
    ours: dict[str, tuple[str, str]] = {}
    others: dict[str, tuple[str, str]] = {}
    for active in screen.active_bindings.values():
        if not active.enabled or not active.binding.description:
            continue
        action = active.binding.action
        place = others if action.removeprefix("app.").startswith(MOVES) or not is_ours(active) else ours
        key = screen.app.get_key_display(active.binding)
        said = about(active.node, action) if place is ours else ""
        words = f"{active.binding.description}: {said[0].lower()}{said[1:]}" if said else active.binding.description
        before = place.get(action)
        keys = f"{before[0]} {key}" if before and len(before[0]) + len(key) < KEY - 1 else (before or (key,))[0]
        place[action] = keys, words
    return list(ours.values()), list(others.values())
