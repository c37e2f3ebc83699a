"""What every dialog is: a screen over another one, which stays to be seen, dimmed."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, Self, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import ActiveBinding
from textual.color import Color
from textual.containers import Vertical
from textual.content import Content
from textual.css.styles import RulesMap
from textual.geometry import Region
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.style import Style as VisualStyle
from textual.timer import Timer
from textual.visual import RenderOptions, Visual, VisualType
from textual.widgets import Input

from tui.background import Forbearing
from tui.style_sheets import sheets
from tui.widgets.keys import Keys

LATER = 0.1  # seconds until a change below is shown
Outcome = TypeVar("Outcome")


class Overlay(ModalScreen[Outcome]):
    """A modal screen that closes once."""

    def dismiss(self, result: Outcome | None = None) -> AwaitComplete:
        """Close; of two clicks the second, which is heard after the first has closed it, does nothing."""
        return super().dismiss(result) if self in self.app.screen_stack else AwaitComplete()


class Dialog(Forbearing, Overlay[Outcome]):
    """A modal screen in a frame, with a heading and its keys, that opens at once over whatever is below.

    Textual blends all that is below, cell by cell, each time that a part of the dialog is drawn: four times until it is
    open. Here a picture of it is blended, and again a little after something has changed below.
    """

    CSS_PATH = sheets("controls")
    taking = "Take"  # what Enter does with a line that is written here, for the keys at the foot

    def __init__(self, heading: str, frame: str = "") -> None:
        super().__init__()
        self._heading, self._frame = heading, frame  # the frame's further classes: `large`, `report`
        self._below: _Below | None = None
        self._later: Timer | None = None

    def compose(self) -> ComposeResult:
        """A frame with the heading in its border; body, keys."""
        with Vertical(classes=f"dialog {self._frame}") as frame:
            frame.border_title = Content(self._heading)
            yield from self.body()
            yield Keys()

    def body(self) -> ComposeResult:
        """What stands between heading and keys."""
        raise NotImplementedError

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """With a word for Enter in a line: Textual's own binding has none that is shown."""
        active = super().active_bindings
        enter = active.get("enter")
        if enter is not None and isinstance(enter.node, Input):
            active["enter"] = enter._replace(binding=replace(enter.binding, description=self.taking, show=True))
        return active

    def refresh(self, *regions: Region, **how: Any) -> Self:
        """Draw again; of `regions` a screen below says that it has changed there, which can wait."""
        if not regions or self._below is None:
            return super().refresh(*regions, **how)
        if self._later is None:
            self._later = self.set_timer(LATER, self._look_again)
        return self

    def _look_again(self) -> None:
        self._below = self._later = None
        self.refresh()

    def render(self) -> VisualType:  # type: ignore[override]  # a Visual will do wherever a renderable does
        """What is below the dialog."""
        background = super().render()
        if not isinstance(background, BackgroundScreen):
            return background
        if self._below is None or not self._below.shows(background.screen, background.color):
            self._below = _Below(background.screen, background.color)
        return self._below


class _Below(Visual):
    """A picture of a screen, with a colour laid over it."""

    def __init__(self, screen: Screen[object], color: Color) -> None:
        self._screen, self._color, self._size = screen, color, screen.size
        self._strips: list[Strip] = []

    def shows(self, screen: Screen[object], color: Color) -> bool:
        """Whether it is of this screen, in this size and colour."""
        return (screen, screen.size, color) == (self._screen, self._size, self._color)

    def render_strips(self, width: int, height: int | None, style: VisualStyle, options: RenderOptions) -> list[Strip]:
        """The picture, whatever room is offered: both screens fill the terminal."""
        if not self._strips:  # not before: only while it is drawn does the screen below know what is below itself
            self._strips = [_dimmed(strip, self._color) for strip in self._screen._compositor.render_strips()]
        return self._strips

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """The screen's."""
        return self._size.width

    def get_height(self, rules: RulesMap, width: int) -> int:
        """The screen's."""
        return self._size.height


def _dimmed(strip: Strip, color: Color) -> Strip:
    segments = (Segment(text, _blended(style or Style(), color)) for text, style, _ in strip)
    return Strip(Segment.simplify(segments), strip.cell_length)


@lru_cache(4096)
def _blended(style: Style, color: Color) -> Style:
    """A style as seen through a colour, without what can be clicked."""
    plain = style.clear_meta_and_links()
    fore, back = (part and (Color.from_rich_color(part) + color).rich_color for part in (style.color, style.bgcolor))
    return plain + Style.from_color(fore, back)
