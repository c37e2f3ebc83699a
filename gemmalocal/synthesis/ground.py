"""Whether a quote occurs in a text, blind to what a quoting hand changes: case, spaces, quotes, hyphens, ellipses."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from gemmalocal.synthesis.language import SPACELESS

SHORTEST = 8  # letters and digits of a quote that proves something; of a whole short passage fewer do
SAME = str.maketrans(
    {mark: "'" for mark in "\"'`´‘’‚‛“”„‟«»‹›「」『』"}
    | {mark: "-" for mark in "‐‑‒–—―−"}
    | {"\u00ad": None, "\u200b": None, "\u2060": None, "\ufeff": None}
)

JOINT = re.compile(rf"(?<=[{SPACELESS}]) (?=[{SPACELESS}])")  # a line was broken there, or a hand put a space


def normal(text: str) -> str:
    """A text as it is compared: NFKC, casefolded, one space for white space, plain quotes and hyphens.

    A hyphen at the end of a line is joined with what follows; between Chinese or Japanese characters no space counts.
    """
    text = re.sub(r"(?<=\w)[-‐\u00ad]\s*\n\s*(?=\w)", "", text)
    text = unicodedata.normalize("NFKC", text.replace("…", "...")).translate(SAME).casefold()
    return JOINT.sub("", " ".join(text.split()))


def problem(quote: str, text: str) -> str | None:
    """Why a quote is no evidence from a text, as a verb's phrase with its kind before the first ": "; None if it is.

    An ellipsis in the quote leaves something out: the parts must occur in their order.
    """
    whole = normal(text)
    parts = [part for part in (part.strip(" '.,;:-[]()") for part in normal(quote).split("...")) if part]
    letters = sum(mark.isalnum() for part in parts for mark in part)
    if not letters:
        return "has no evidence"
    if letters < min(SHORTEST, sum(mark.isalnum() for mark in whole)):
        return f"has evidence too short to prove anything: {quote.strip()}"
    position = 0
    for part in parts:
        start = _find(part, whole, position)
        if start < 0:
            return f"has evidence that does not occur in its passage: {quote.strip()}"
        position = start + len(part)
    return None


def _find(part: str, whole: str, start: int) -> int:
    """Where a part occurs as whole words, or in a script without spaces anywhere; -1 if nowhere."""
    while (position := whole.find(part, start)) >= 0:
        ends = (whole[max(0, position - 1) : position + 1], whole[position + len(part) - 1 : position + len(part) + 1])
        if not any(_within(two) for two in ends):
            return position
        start = position + 1
    return -1


def _within(two: str) -> bool:
    """Whether a cut between two characters would cut a word of an alphabet."""
    return len(two) == 2 and all(mark.isalnum() and ord(mark) < 0x0E00 for mark in two)


def numbers(text: str) -> set[str]:
    """The numbers in a text, their thousands' separators left out."""
    figures = re.findall(r"\d+(?:[.,]\d+)*", unicodedata.normalize("NFKC", text))
    return {re.sub(r"[.,](?=\d{3}\b)", "", number) for number in figures}


def overlap(left: str, right: str) -> float:
    """Share of the longer words of `left` that `right` has too; 1 if `left` has none."""
    words, other_words = (set(re.findall(r"\w{4,}", normal(text))) for text in (left, right))
    return len(words & other_words) / len(words) if words else 1.0


def repeats(text: str, length: int = 4) -> bool:
    """Whether a text says the same words over and over: more than half of its word n-grams occur before in it."""
    words = normal(text).split()
    if len(words) < 3 * length:
        return len(words) > 5 and any(len(set(words[n : n + 6])) == 1 for n in range(len(words) - 5))
    grams = list(zip(*(words[n:] for n in range(length)), strict=False))
    return len(set(grams)) < len(grams) / 2 or any(a == b for a, b in pairwise(_lines(text)))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if len(line.strip()) > 20]
