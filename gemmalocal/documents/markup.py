"""Markup that would keep a parser busy for minutes, made harmless."""

from __future__ import annotations

import re

MOST_ATTRIBUTES = 2_000  # of an element; parsers compare each with all before it
LONG_TAG = re.compile(r"<([A-Za-z][\w:-]*)([^<>]{8192,})")
QUOTED = re.compile(r""""[^"]*"|'[^']*'""")


def bounded(html: str) -> str:
    """The page, but elements with thousands of attributes have none: those are not text."""
    return LONG_TAG.sub(_bounded, html)


def _bounded(tag: re.Match[str]) -> str:
    many = len(QUOTED.sub("", tag[2]).split()) > MOST_ATTRIBUTES
    return f"<{tag[1]}" if many else tag[0]
