"""The keys of a screen, as many as there is room for; those that lead back, out and to help always."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey, FooterLabel

PALETTE = "-command-palette"


class Keys(Footer):
    """Leaves out the palette first, then from the end; help (?) lists every key."""

    def __init__(self) -> None:
        super().__init__(compact=True)
        self._drawn: list[tuple[str, str, bool]] | None = None

    def compose(self) -> ComposeResult:
        """What fits."""
        yield from fitting([key for key in super().compose() if isinstance(key, FooterKey)], self.size.width)

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Draw again, if they are others."""
        now = [(one.binding.key, one.binding.description, one.enabled) for one in screen.active_bindings.values()]
        if now != self._drawn and screen.app.app_focus:
            self._drawn = now
            super().bindings_changed(screen)

    def on_resize(self) -> None:
        """Another room."""
        self.call_after_refresh(self.recompose)


def fitting(keys: list[FooterKey], room: int) -> Iterator[FooterKey | FooterLabel]:
    """Of `keys`, what takes at most `room` cells; an ellipsis tells that some are not shown."""
    if sum(map(width, keys)) > room:
        keys = [key for key in keys if not key.has_class(PALETTE)]
    left_out = False
    while sum(map(width, keys)) + 2 * left_out > room:
        optional = [key for key in keys if not always(key)]
        if not optional:
            break
        keys.remove(optional[-1])
        left_out = True
    for key in keys:
        if left_out and always(key):
            left_out = False
            yield FooterLabel("… ")
        yield key


def always(key: FooterKey) -> bool:
    """Whether it leads back, out, or to help."""
    return key.key == "escape" or key.action in ("help", "quit")


def width(key: FooterKey) -> int:
    """Cells that a key takes with the gap after it; the palette's has a line before it."""
    return cell_len(key.key_display) + cell_len(key.description) + 2 + key.has_class(PALETTE)
