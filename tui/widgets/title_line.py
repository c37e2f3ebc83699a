"""One line at the top: what this is on the left, how it stands on the right."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget


class TitleLine(Widget):
    """Two texts, the right one with its colours; where they do not both fit, the left one is cut with an ellipsis."""

    DEFAULT_CSS = "TitleLine { height: 1; padding: 0 1; background: $panel; color: $foreground; }"

    left: reactive[str] = reactive("")
    right: reactive[str | Content] = reactive("")

    def __init__(self, left: str = "") -> None:
        super().__init__()
        self.set_reactive(TitleLine.left, left)

    def render(self) -> Content:
        """Left in bold, right as it is."""
        width = self.content_size.width
        right = self.right if isinstance(self.right, Content) else Content(self.right)
        room = width - right.cell_length - 2
        left = self.left
        if cell_len(left) > room:
            left = set_cell_size(left, max(0, room - 1)) + "…"
        gap = " " * max(1, width - cell_len(left) - right.cell_length)
        return Content.assemble((left, "bold"), gap, right)
