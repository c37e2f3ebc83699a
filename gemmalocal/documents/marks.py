"""Superscripts and subscripts as plain text: footnote marks in brackets, powers with ^, indices with _."""

from __future__ import annotations

import re

POWER = re.compile(  # what is raised to a power: ten, a variable, a unit, what stands in a formula
    r"(?:\b10|(?<![^\W\d_])[A-Za-z\u0370-\u03ff]|\b\d*\s?(?:[kcdmµμn]m|ft|yd|sec)|[=+*/×·]\s*[A-Za-z]{1,3}|[|∥‖}])$"
)
GROUP = re.compile(r"\(([^()]*)\)$")
WORD = re.compile(r"[^\W\d_]{3,}")
BRACKETED = re.compile(r"[\[(].*[\])]$", re.DOTALL)
ELEMENTS = re.compile(r"(?:[A-Z][a-z]?\d*|[)\]])$")  # of a chemical formula
COUNTED = re.compile(r"(?:\d{4}|\d[.,]\d{3})$")  # a year, or a large number, which is no base
ORDINAL = re.compile(r"(?:st|nd|rd|th|er|re|e|ème|o|a|os|as|C|F)$")
BRAND = re.compile(r"(?:TM|SM|MC|MD)$")
SIGNED = re.compile(r"[+\-−–]\d+$")


def raised(before: str, text: str) -> str:
    """What stands for a superscript behind `before` (the text of its line so far): "[1]", "^2", or itself ("th")."""
    text = text.strip()
    if not text or BRACKETED.match(text) or not re.search(r"\w", text):
        return text  # a star, a dagger, or Wikipedia's [1]
    before = before.rstrip()
    if BRAND.match(text) or (ORDINAL.match(text) and re.search(r"\d$", before)):
        return text
    if SIGNED.match(text) or _to_a_power(before, text):
        return f"^{text}" if re.fullmatch(r"[+\-−–]?\w+", text) else f"^({text})"
    return f"[{text}]"


def _to_a_power(before: str, text: str) -> bool:
    if POWER.search(before):
        return True
    if group := GROUP.search(before):
        return not WORD.search(group[1])
    if re.search(r"\d$", before):
        return not COUNTED.search(before) and not re.search(r"[,;*]", text)
    return not text[:1].isdigit() and not (len(text) == 1 and WORD.search(before[-3:]))


def lowered(before: str, text: str) -> str:
    """What stands for a subscript behind `before`: a formula's digits as they are ("H2O"), else "_i"."""
    text = text.strip()
    if not text or not re.search(r"\w", text):
        return text
    if text.isdigit() and ELEMENTS.search(before):
        return text
    return f"_{text}" if re.fullmatch(r"\w+", text) else f"_({text})"
