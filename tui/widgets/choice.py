"""A choice among a few words, all of them in sight."""

from __future__ import annotations

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class Choice(Widget, can_focus=True):
    """One line; the chosen word stands in brackets."""

    DEFAULT_CSS = "Choice { height: 1; } Choice:focus { background: $block-cursor-background 30%; }"
    BINDINGS = [
        Binding("right,space", "move(1)", "Next choice"),
        Binding("left", "move(-1)", "Previous choice", show=False),
    ]

    value: reactive[str] = reactive("")

    class Changed(Message):
        """Another word was chosen."""

    def __init__(self, words: list[str], value: str) -> None:
        super().__init__()
        self._words = words
        self.set_reactive(Choice.value, value)

    def render(self) -> Content:
        """All words."""
        chosen = (
            (f"[{word}] ", "bold") if word == self.value else (f" {word}  ", "$text-muted") for word in self._words
        )
        return Content.assemble(*chosen)

    def watch_value(self) -> None:
        """Tell it."""
        self.post_message(self.Changed())

    def action_move(self, by: int) -> None:
        """To the next word, and round."""
        self.value = self._words[(self._words.index(self.value) + by) % len(self._words)]

    def on_click(self, event: events.Click) -> None:
        """The word under the pointer."""
        self.focus()
        end = 0
        for word in self._words:
            end += len(word) + 3
            if event.x < end:
                self.value = word
                return
