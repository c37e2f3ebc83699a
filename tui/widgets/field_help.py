"""What the field at hand means, in a line or two."""

from __future__ import annotations

from textual.widget import Widget
from textual.widgets import Static


class FieldHelp(Static):
    """Follows the focus of its screen; `idle` is said where nothing has a help of its own."""

    DEFAULT_CSS = "FieldHelp { height: 2; padding: 0 1; color: $text-muted; background: $surface; }"

    def __init__(self, idle: str) -> None:
        super().__init__(markup=False)
        self._idle = idle

    def on_mount(self) -> None:
        """From now on."""
        self.watch(self.screen, "focused", self._tell)

    def _tell(self, focused: Widget | None) -> None:
        self.update((getattr(focused, "HELP", None) or self._idle).replace("**", "").strip())
