"""The keys of a screen, as many as there is room for; those that lead back, out and to help always."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey, FooterLabel


class Keys(Footer):
    """Leaves out the palette first, then from the end; help (?) lists every key."""

    def __init__(self) -> None:
        super().__init__(compact=True)
        self._drawn: list[tuple[str, str, bool]] | None = None

    def compose(self) -> ComposeResult:
        """What fits."""
        keys = [key for key in super().compose() if isinstance(key, FooterKey)]
        for key in keys:
            key.add_class("-compact", update=False)  # else each gets it once it is there, and is styled again
        yield from fitting(keys, self.size.width)

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Draw again, if they are others."""
        now = [
            (active.binding.key, active.binding.description, active.enabled)
            for active in screen.active_bindings.values()
        ]
        if now != self._drawn and screen.app.app_focus:
            self._drawn = now
            super().bindings_changed(screen)

    def on_resize(self) -> None:
        """Another room."""
        self.call_after_refresh(self.recompose)


def fitting(keys: list[FooterKey], room: int) -> Iterator[FooterKey | FooterLabel]:
    """Of `keys`, what takes at most `room` cells; an ellipsis tells that some are not shown."""
    palette = [key for key in keys if key.has_class("-command-palette")]
    others = [key for key in keys if key not in palette and not _rank(key)]
    last = {key.description: key for key in sorted(keys, key=_rank) if _rank(key)}  # q rather than ^q
    always = list(last.values())
    if sum(map(width, others + always + palette)) > room:
        palette = []
    shown = list(others)
    while shown and sum(map(width, shown + always)) + 2 * (shown != others) > room:
        shown.pop()
    yield from shown
    if shown != others:
        yield FooterLabel("… ")
    yield from always + palette


def _rank(key: FooterKey) -> int:
    """Where among the last, if it leads back, to help or out; else 0."""
    return 1 if key.key == "escape" else {"help": 2, "app.quit": 3, "quit": 4}.get(key.action, 0)


def width(key: FooterKey) -> int:
    """Cells that a key takes with the gaps around it; the palette's has a line before it."""
    return cell_len(key.key_display) + cell_len(key.description) + 2 + key.has_class("-command-palette")
