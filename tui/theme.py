"""Colours: one accent, quiet borders; light and dark."""

from __future__ import annotations

from textual.color import Color
from textual.theme import Theme

DARK = Theme(
    name="gemmalocal-dark",
    primary="#8ab4f8",
    secondary="#9aa0a6",
    accent="#8ab4f8",
    success="#81c995",
    warning="#fdd663",
    error="#f28b82",
    foreground="#e8eaed",
    background="#14161a",
    surface="#1b1e23",
    panel="#2a2e35",
    dark=True,
)
LIGHT = Theme(
    name="gemmalocal-light",
    primary="#1a56c4",
    secondary="#5f6368",
    accent="#1a56c4",
    success="#137333",
    warning="#8a5a00",
    error="#b3261e",
    foreground="#1f1f1f",
    background="#ffffff",
    surface="#f4f6f9",
    panel="#dfe4ea",
    dark=False,
)
THEMES = (DARK, LIGHT)
FADED = ("text-muted", "text-disabled")


def with_faded_text(variables: dict[str, str]) -> dict[str, str]:
    """The variables of any theme, with the faded texts as plain colours.

    Textual has them as "auto 60%". In a span of text it drops the share, and they become pure white, or black.
    """
    colors: dict[str, str] = {}
    for name in FADED:
        automatic, _, share = variables[name].partition(" ")
        if automatic == "auto":  # else the terminal's own colour, which cannot be faded
            colors[name] = (Color.parse(variables["background"]) + Color.automatic(float(share.rstrip("%")))).hex
    return {**variables, **colors}
