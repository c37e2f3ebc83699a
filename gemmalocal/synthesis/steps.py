"""Numbered lists: what is done one after another, asked for by the line before the list or by its heading."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gemmalocal.synthesis.english_forms import UNCLEAR, place
from gemmalocal.synthesis.english_words import ACTIONS
from gemmalocal.synthesis.piece import Piece, RuleQuestion

ITEM = re.compile(r"^ {0,3}(?P<number>\d{1,2})[.)] +(?P<text>\S.*)$")
STEPS = range(2, 13)
LONGEST = 1500  # characters of a list
LEAD = re.compile(r"\bto (?P<clause>(?!be\b|the\b|a\b)[a-z][^,;:.]{5,80})(?:,[^,;:.]*)?:$", re.IGNORECASE)
HOW_TO = re.compile(r"^how (?:to|do (?:i|you)|can (?:i|you)) (?P<clause>[^?]{4,80})\??$", re.IGNORECASE)
DOING = re.compile(r"^(?P<clause>[A-Z][a-z]{2,}ing [^?]{2,80})$")


def questions(piece: Piece) -> Iterator[RuleQuestion]:
    """How something is done, for each numbered list of steps in a passage; the answer is the list as it stands."""
    lines = piece.passage.text.splitlines()
    for start, end in _lists(lines):
        steps = "\n".join(line.rstrip() for line in lines[start:end]).strip()
        lead = next((line.strip() for line in reversed(lines[:start]) if line.strip()), "")
        ask = _asked(piece, lead, steps)
        if ask and len(steps) <= LONGEST and "http" not in ask:
            where = place(piece)
            says = f"“{piece.title}” lists the steps." if piece.title else "The source lists the steps."
            text = f"{where}, {ask}?" if where else f"{ask}?"
            yield RuleQuestion(text[0].upper() + text[1:], steps, steps, says, "steps")


def _lists(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Where numbered lists begin and end that count from 1 without a gap; what is indented below an item is its own."""
    start, count = -1, 0
    for index, line in enumerate([*lines, "end"]):
        item = ITEM.match(line)
        if item and int(item["number"]) == count + 1:
            start = index if count == 0 else start
            count += 1
        elif count and not item and (not line.strip() or line[0] in " \t"):
            continue
        else:
            if count in STEPS:
                yield start, index
            start, count = (index, 1) if item and item["number"] == "1" else (-1, 0)


def _asked(piece: Piece, lead: str, steps: str) -> str:
    """What a list answers, by the line before it, by its heading, or if its items are things to do."""
    if (match := LEAD.search(lead)) and not UNCLEAR.search(match["clause"]):
        return f"how do you {match['clause']}"
    heading = piece.section.rpartition(" > ")[2]
    if match := HOW_TO.match(heading):
        return f"how do you {match['clause']}"
    if match := DOING.match(heading):
        return f"what are the steps of {match['clause'][0].lower()}{match['clause'][1:]}"
    first = heading.partition(" ")[0]
    if first.lower() in ACTIONS and heading != first:
        return f"how do you {heading[0].lower()}{heading[1:]}"
    items = [match["text"] for line in steps.splitlines() if (match := ITEM.match(line))]
    acts = sum(item.split()[0].strip("*_`,.").lower() in ACTIONS for item in items)
    return "which steps are given" if acts > len(items) / 2 and (heading or piece.title) else ""
