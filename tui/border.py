"""The app's border: no text that a widget draws, whoever wrote it, steers the terminal or misleads its reader.

Textual and Rich strip five control codes from every text that they are given, and let the others pass. Here all are
written out at that very place, so that no screen can forget it. What still slipped through, by a way of drawing that
we do not know, is left out of the lines before they are sent.
"""

from __future__ import annotations

import rich.text
import textual.content
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from gemmalocal.jobs.terminal_text import HIDDEN, visible


def build() -> None:
    """From now on, in this process."""
    rich.text.strip_control_codes = _written_out  # type: ignore[attr-defined]
    textual.content._strip_control_codes = _written_out


def _written_out(text: str, _translate_table: object = None) -> str:
    return visible(text)


class Guard(LineFilter):
    """Leaves out of a line what should not have come so far; it had no width of its own."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The line, as it may be sent."""
        if not any(HIDDEN.search(segment.text) for segment in segments):
            return segments
        return [Segment(HIDDEN.sub("", text), style, control) for text, style, control in segments]
