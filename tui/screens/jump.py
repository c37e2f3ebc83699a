"""Jump mode: every place that can have the focus gets a letter, and that letter leads there."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from tui.screens.dialog import Overlay

LETTERS = "asdfghjklqwertyuiopzxcvbnm1234567890"


class JumpScreen(Overlay[Widget | None]):
    """Gives the place that was chosen; any other key leaves all as it is."""

    DEFAULT_CSS = """
    JumpScreen { background: transparent; align: left top; }
    JumpScreen > .letter {
        position: absolute; width: auto; height: 1;
        background: $warning; color: $background; text-style: bold;
    }
    """
    BINDINGS = [Binding("escape", "dismiss(None)", "Back")]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        region = screen.region
        places = [place for place in screen.focus_chain if region.overlaps(place.region) and place.region.area]
        self._places = dict(zip(LETTERS, places, strict=False))

    def compose(self) -> ComposeResult:
        """A letter at each."""
        for letter, place in self._places.items():
            label = Static(f" {letter} ", classes="letter", markup=False)
            label.styles.offset = place.region.offset
            yield label

    def on_key(self, event: events.Key) -> None:
        """There, or back."""
        event.stop()
        self.dismiss(self._places.get(event.character or ""))
