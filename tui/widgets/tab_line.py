"""Names of lists, side by side, of which one is shown."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

GAP = 2  # cells around a name


class TabLine(Widget):
    """One line; each name with its number, which is its key, and how many it holds, where there is room for that."""

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
        """Number, name and count of each; the numbers alone where there is room for no more."""
        numbered = {name: f"{number} {name}" for number, name in enumerate(self._names, 1)}
        counted = {name: f"{label} {self.counts[name]:,}" for name, label in numbered.items() if name in self.counts}
        short = {name: label if name == self.shown else label.split()[0] for name, label in numbered.items()}
        for labels in ({**numbered, **counted}, numbered):
            if sum(len(label) + GAP for label in labels.values()) <= self.content_size.width:
                return list(labels.items())
        return list(short.items())

    def on_click(self, event: events.Click) -> None:
        """The name under the pointer."""
        end = 1  # the padding
        for name, label in self._labels():
            end += len(label) + GAP
            if event.x < end:
                self.post_message(self.Chosen(name))
                return
