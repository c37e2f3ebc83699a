"""Markup that would keep a parser busy for minutes, made harmless."""

from __future__ import annotations

import re

MOST_ATTRIBUTES = 2_000  # of an element; parsers compare each with all before it
LONG_TAG = re.compile(r"<([A-Za-z][\w:-]*)([^<>]{8192,})")
DEEPEST = 200  # elements within each other; libxml2 leaves out what lies deeper than 255
NESTING = re.compile(
    r"<(/?)(?:a|b|big|blockquote|center|div|dl|em|font|i|ol|s|section|small|span|strong|table|td|tr|tt|u|ul)[\s>]",
    re.IGNORECASE,
)
QUOTED = re.compile(r""""[^"]*"|'[^']*'""")


def bounded(html: str) -> str:
    """The page, but elements with thousands of attributes have none: those are not text."""
    return LONG_TAG.sub(_bounded, html)


def _bounded(tag: re.Match[str]) -> str:
    many = len(QUOTED.sub("", tag[2]).split()) > MOST_ATTRIBUTES
    return f"<{tag[1]}" if many else tag[0]


def is_deep(html: str) -> bool:
    """Do elements nest deeper than parsers go by default, as those do that nobody closed?"""
    depth = 0
    for tag in NESTING.finditer(html):
        depth = max(depth - 1, 0) if tag[1] else depth + 1
        if depth > DEEPEST:
            return True
    return False
