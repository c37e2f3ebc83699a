"""A choice among a few words, all of them in sight where there is room; else those around the chosen one."""

from __future__ import annotations

from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

LESS, MORE = "‹", "›"  # where words before or after are out of sight


class Choice(Widget, can_focus=True):
    """One line; the chosen word stands in brackets. Where the value is none of the words, none is chosen yet."""

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
        """The words that there is room for."""
        shown = self._shown()
        parts = [
            (f"[{word}] ", "bold") if word == self.value else (f" {word}  ", "$muted") for word in self._words[shown]
        ]
        if shown.start:
            parts.insert(0, (LESS, "$muted"))
        if shown.stop < len(self._words):
            parts.append((MORE, "$muted"))
        return Content.assemble(*parts)

    @property
    def _at(self) -> int:
        """The place of the chosen word; -1 if none is chosen."""
        return self._words.index(self.value) if self.value in self._words else -1

    def _shown(self) -> slice:
        """Places of the words in sight, the chosen one among them; the first ones as long as that is."""
        room, chosen = self.size.width or 1000, self._at
        widths = [len(word) + 3 for word in self._words]
        start, stop = 0, len(widths)
        while sum(widths[start:stop]) + bool(start) + (stop < len(widths)) > room and stop - start > 1:
            start, stop = (start, stop - 1) if stop - 1 > chosen else (start + 1, stop)
        return slice(start, stop)

    def watch_value(self) -> None:
        """Tell it."""
        self.post_message(self.Changed())

    def action_move(self, by: int) -> None:
        """To the next word, and round; from none to the first or the last."""
        self.value = self._words[(max(self._at, min(0, -by)) + by) % len(self._words)]

    def on_click(self, event: events.Click) -> None:
        """The word under the pointer."""
        self.focus()
        shown = self._shown()
        end = len(LESS) if shown.start else 0
        for word in self._words[shown]:
            end += len(word) + 3
            if event.x < end:
                self.value = word
                return
