"""The border: text that came from elsewhere (models, rows, files, servers, libraries), as a terminal may show it.

A terminal obeys what it is sent: an escape wipes the screen, sets a title or a clipboard; a bidi override or a
zero-width mark shows another text than there is. Here all of that is written out (`\\x1b`, `\\u202e`). The command
line's output goes through `cli.output`, the app's through `tui.border`; neither can be left out by a caller.
"""

from __future__ import annotations

import json
import re
import unicodedata
from itertools import accumulate

# C0 but for tab and newline, DEL, C1; what has no glyph of its own and hides or turns others around; lone surrogates;
# non-characters. Not variation selectors, which emoji have, nor the visible ones among Unicode's format characters.
STEERING = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164"
    r"\ud800-\udfff\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
JOINERS = r"[\u200c\u200d]+"  # Persian, the scripts of India and emoji need them; between Latin letters they only hide
HIDDEN = re.compile(rf"[{STEERING}]|(?<=[0-9A-Za-z]){JOINERS}|{JOINERS}(?=[0-9A-Za-z])")
BREAKS = re.compile(r"[\t\n]")


def visible(text: str) -> str:
    """`text` as a block: line ends and tabs stay, what could steer the terminal or mislead is written out."""
    return HIDDEN.sub(_written_out, text.replace("\r\n", "\n"))


def on_line(text: str, width: int | None = None) -> str:
    """The same on one line, with line ends and tabs written out too; cut to `width` cells, with an ellipsis."""
    whole = BREAKS.sub(_written_out, HIDDEN.sub(_written_out, text))
    return whole if width is None else _cut(whole, width)


def printable(text: str) -> str:
    """The same on one line, and with everything written out that looks like a space or like nothing."""
    return "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in visible(text))


def as_json(value: object) -> str:
    """`value` as one line of JSON, readable where it can be, in which nothing steers a terminal."""
    return json_line(json.dumps(value, ensure_ascii=False))


def json_line(line: str) -> str:
    """A line that is JSON already, with what could steer a terminal as JSON's own escapes."""
    return HIDDEN.sub(lambda match: json.dumps(match[0])[1:-1], line)


def _written_out(match: re.Match[str]) -> str:
    escaped = repr(match[0])[1:-1]
    return escaped if escaped != match[0] else "".join(f"\\u{ord(mark):04x}" for mark in escaped)


def _cut(text: str, width: int) -> str:
    """At most `width` cells of a line; marks of no width count as one, so that they cannot be piled up."""
    ends = list(accumulate(2 if unicodedata.east_asian_width(mark) in "WF" else 1 for mark in text[: width + 1]))
    if len(text) <= width and (not ends or ends[-1] <= width):
        return text
    return text[: sum(end < width for end in ends)] + "…"
