"""The look: the one owner of colours, spacing, borders and states. `theme.tcss`, beside it, is its style sheet.

How a screen uses it:

* **Colours by what they are for**, never by their hue. In style sheets and in spans of text alike:

  | variable | for |
  | --- | --- |
  | `$primary` | what can be acted on: keys, the focus ring, the cursor |
  | `$secondary` | names of panels, headings of sections, who speaks |
  | `$accent` | what is alive: a run that is running, the newest line of a curve |
  | `$good`, `$warning`, `$bad` | an outcome; a word or a sign always stands beside the colour |
  | `$muted` | labels, units, hints: dimmer than a value, and still read with ease (at least 4.5 to 1) |
  | `$foreground` | values, and what people wrote |
  | `$line`, `$ring` | a panel's border, without and with the focus |

  Textual's own names (`$success`, `$error`, `$text-muted`, `$text-error`, ...) mean the same colours. Every theme that
  can be chosen, ours or Textual's, is made legible here: no screen has to look whether a colour can be read.
* **Panels**: `framed(widget, "Runs", "12 of 40")` gives any widget a round border with a title and a subtitle, one cell
  of padding, and a ring while it has the focus. What the titles say is never markup. On low terminals (the screen has
  the class `-low`) only the line of the title is left.
* **States**: `state(status)` has a sign, a word and a style; `told(status)` is sign and word in that style.
* **Spacing**: one cell of padding inside a panel, none between panels: their borders are gap enough.

Where there is to be no colour (`NO_COLOR`, or a terminal that has none) `NoColor` turns what is drawn into bold, dim
and reverse.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import NamedTuple, TypeVar

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter
from textual.theme import Theme
from textual.widget import Widget

READ, PLAIN = 4.5, 7.0  # least contrast of a text, and of the values among them
SEEN = 3.0  # of a bold word under the cursor, which stands there in its line
FADE = 0.62  # how much of a value's colour a label has, if that can be read
STEP = 0.04  # of the way to black or white, where a colour must be made legible
APART = 0.2  # difference of brightness from which a background must be told without colours
COLORLESS = ("vt", "dumb", "unknown")  # how terminals are called that have no colours

DARK = Theme(
    name="gemmalocal-dark",
    primary="#8ab0ff",
    secondary="#c4a7f5",
    accent="#63d2e0",
    success="#83d69b",
    warning="#f2c768",
    error="#ff8f8a",
    foreground="#e7e9f0",
    background="#11141b",
    surface="#191d27",
    panel="#242a37",
    dark=True,
)
LIGHT = Theme(
    name="gemmalocal-light",
    primary="#1d56c9",
    secondary="#6a3fb5",
    accent="#006d80",
    success="#12703a",
    warning="#855100",
    error="#b3261e",
    foreground="#191c23",
    background="#fcfcfe",
    surface="#f2f4f9",
    panel="#e1e5ee",
    dark=False,
)
CONTRAST = Theme(
    name="gemmalocal-high-contrast",
    primary="#ffe14d",
    secondary="#ffffff",
    accent="#4df0ff",
    success="#5dff8f",
    warning="#ffc400",
    error="#ff8a80",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1f1f1f",
    dark=True,
    variables={
        "line": "#ffffff",
        "muted": "#cccccc",
        "block-cursor-background": "#ffe14d",
        "block-cursor-foreground": "#000000",
    },
)
PLAIN_GREY = Theme(
    name="gemmalocal-no-colour",
    primary="#ffffff",
    secondary="#ffffff",
    accent="#ffffff",
    success="#e6e6e6",
    warning="#e6e6e6",
    error="#ffffff",
    foreground="#e6e6e6",
    background="#101010",
    surface="#141414",
    panel="#262626",
    dark=True,
    variables={"block-cursor-background": "#d6d6d6", "block-cursor-foreground": "#101010"},
)
THEMES = (DARK, LIGHT, CONTRAST, PLAIN_GREY)
INKS = {
    "primary": "primary",
    "secondary": "secondary",
    "accent": "accent",
    "success": "good",
    "warning": "warning",
    "error": "bad",
}  # Textual's name of a colour: ours


class State(NamedTuple):
    """How a state is told: never by its colour alone."""

    sign: str
    word: str
    style: str


STATES = {
    "live": State("●", "running", "$accent"),
    "done": State("✓", "done", "$good"),
    "early": State("✓", "stopped early", "$good"),
    "stopped": State("■", "stopped", "$warning"),
    "strained": State("!", "strained", "$warning"),
    "failed": State("✗", "failed", "$bad"),
    "killed": State("✗", "killed", "$bad"),
    "damaged": State("✗", "damaged", "$bad"),
    "empty": State("·", "not started", "$muted"),
}
Framed = TypeVar("Framed", bound=Widget)


def state(status: str) -> State:
    """The sign, word and style of a job's status; of one that is not known, itself."""
    return STATES.get(status) or State("·", status, "$muted")


def told(status: str, more: str = "") -> Content:
    """A state in its colour: sign, word, and what else is said of it."""
    sign, word, style = state(status)
    return Content.styled(" ".join(filter(None, (sign, word, more))), style)


def rich_style(style: str, variables: dict[str, str]) -> Style:
    """The same for a text of Rich, which knows no variables: `style` is one of them."""
    return Style(color=Color.parse(variables[style.removeprefix("$")]).rich_color)


def cursor_keeps_colors(variables: dict[str, str]) -> bool:
    """Whether what is coloured can still be read under the cursor of a table; else it takes the cursor's colour."""
    if variables["block-cursor-background"].startswith("ansi"):
        return False
    behind = Color.parse(variables["block-cursor-background"])
    return min(contrast(Color.parse(variables[ink]), behind) for ink in INKS.values()) >= SEEN


def framed(widget: Framed, title: str, subtitle: str = "") -> Framed:
    """The same widget as a panel; nothing in the titles is markup."""
    widget.add_class("panel")
    widget.border_title, widget.border_subtitle = Content(title), Content(subtitle)
    return widget


def contrast(first: Color, second: Color) -> float:
    """How well one is read on the other, from 1 to 21: WCAG's ratio."""
    dark, bright = sorted((_luminance(first), _luminance(second)))
    return (bright + 0.05) / (dark + 0.05)


def _luminance(color: Color) -> float:
    parts = (part / 255 for part in color.rgb)
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def legible(color: Color, grounds: list[Color], least: float = READ) -> Color:
    """The colour nearest to it, towards white or black, that can be read on all of `grounds`."""
    end = Color.parse("white" if grounds[0].brightness < 0.5 else "black")
    share = 0.0
    while share < 1 and min(contrast(color.blend(end, share), ground) for ground in grounds) < least:
        share += STEP
    return color.blend(end, min(share, 1.0))


@lru_cache(32)
def _palette(inks: tuple[tuple[str, str], ...], grounds: tuple[str, ...], foreground: str) -> dict[str, str]:
    """All that is said of a theme in the docstring of this module, from its own colours."""
    below = [Color.parse(ground) for ground in grounds]
    value = legible(Color.parse(foreground), below, PLAIN)
    palette = {name: legible(Color.parse(color), below) for name, color in inks}
    primary, ground = palette["primary"], below[0]
    muted = legible(ground.blend(value, FADE), below)
    for theirs, ours in INKS.items():
        palette[ours] = palette[f"text-{theirs}"] = palette[theirs]
    cursor = ground.blend(primary, 0.24)
    palette |= {
        "foreground": value, "muted": muted, "text-muted": muted, "text-disabled": ground.blend(value, 0.45),
        "line": ground.blend(value, 0.24), "ring": primary, "border": primary, "border-blurred": below[2],
        "block-cursor-background": cursor, "block-cursor-foreground": legible(value, [cursor], PLAIN),
        "block-cursor-blurred-background": below[2], "block-cursor-blurred-foreground": value,
        "footer-key-foreground": primary, "scrollbar": ground.blend(value, 0.3), "scrollbar-hover": muted,
        "scrollbar-active": primary, "scrollbar-background": ground, "scrollbar-background-hover": ground,
        "scrollbar-background-active": ground, "scrollbar-corner-color": ground,
    }  # fmt: skip
    return {name: color.hex for name, color in palette.items()}


def with_roles(variables: dict[str, str], theme: Theme) -> dict[str, str]:
    """The variables of any theme, with ours among them; what a theme of ours says itself is left as it is."""
    if theme.ansi:  # the terminal's own colours, which nobody can blend
        roles = {ours: variables[f"text-{theirs}"] for theirs, ours in INKS.items()}
        more = {"muted": variables["text-muted"], "line": variables["border-blurred"], "ring": variables["border"]}
        return {**variables, **roles, **more}
    grounds = tuple(variables[name] for name in ("background", "surface", "panel"))
    roles = dict(_palette(tuple((name, variables[name]) for name in INKS), grounds, variables["foreground"]))
    own = theme.variables if theme in THEMES else {}
    if muted := own.get("muted"):
        own = {**own, "text-muted": muted}
    return {**variables, **roles, **own}


def colorless() -> bool:
    """Whether the terminal has no colours by its name; that somebody wants none, Textual knows."""
    return os.environ.get("TERM", "").startswith(COLORLESS)


class NoColor(LineFilter):
    """What is drawn, without colours: a background that stands out becomes reverse, a faded text dim."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The line."""
        return [
            Segment(text, style and _uncolored(style, background.brightness), control)
            for text, style, control in segments
        ]


@lru_cache(2048)
def _uncolored(style: Style, ground: float) -> Style:
    fore, back = (color and not color.is_default and Color.from_rich_color(color).brightness
                  for color in (style.color, style.bgcolor))  # fmt: skip
    behind = back if isinstance(back, float) else ground
    stands_out = abs(behind - ground) > APART
    faded = isinstance(fore, float) and not stands_out and abs(fore - ground) < 0.62
    plain = style.without_color + Style.from_color(RichColor.default(), RichColor.default())
    return plain + Style(reverse=bool(style.reverse) != stands_out, dim=faded or None)
