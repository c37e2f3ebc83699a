"""Names of lists, side by side, of which one is shown."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class TabLine(Widget):
    """One line; each name with its number, which is its key, and how many it holds."""

    DEFAULT_CSS = "TabLine { height: 1; padding: 0 1; }"

    shown: reactive[str] = reactive("")
    counts: reactive[dict[str, int]] = reactive(dict)

    class Chosen(Message):
        """A name was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self._names = names
        self.set_reactive(TabLine.shown, names[0])

    def render(self) -> Content:
        """All names; the shown one stands out by more than its colour."""
        parts: list[tuple[str, str]] = []
        for name, label in self._labels():
            number, _, word = label.partition(" ")
            parts.append((f" {number} ", "bold $primary"))
            parts += [(word, "bold underline $secondary" if name == self.shown else "$muted"), (" ", "")]
        return Content.assemble(*parts)

    def _labels(self) -> list[tuple[str, str]]:
        """Number, name and count of each."""
        return [
            (name, f"{number} {name} {self.counts[name]:,}" if name in self.counts else f"{number} {name}")
            for number, name in enumerate(self._names, 1)
        ]

    def on_click(self, event: events.Click) -> None:
        """The name under the pointer."""
        end = 1  # the padding
        for name, label in self._labels():
            end += len(label) + 2
            if event.x < end:
                self.post_message(self.Chosen(name))
                return
