"""Running heads and feet of plain text that was set in pages, as manuals and RFCs are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from gemmalocal.documents import heads

FEWEST = 5  # lines that return, for one to be running
BESIDE = 0.8  # of a line's places that are beside a page's number
STEPS = (1, 2)  # from one page's number to the next: of left pages alone it goes by two
EDGES = (re.compile(r"^\W*(\d+)"), re.compile(r"(\d+)\W*$"))  # of a line: a number there
WIDE = re.compile(r"\S\s{4,}\S")  # a head is spread over the line: its words at one side, the number at the other


def strip(lines: list[str]) -> tuple[list[str], str]:
    """The lines without running ones, and a sentence about those; `lines` and "" if there are none.

    Such a line stands alone, is spread over the width, and counts the pages; or it is always the same, beside one
    that counts.
    """
    full = [number for number, line in enumerate(lines) if line.strip()]
    places: dict[str, list[int]] = {}
    for place, number in enumerate(full):
        if _is_alone(lines, number) and len(lines[number]) <= heads.LONGEST and WIDE.search(lines[number].strip()):
            places.setdefault(heads.masked(lines[number]), []).append(place)
    often = [group for group in places.values() if len(group) >= FEWEST]
    counting = {place for group in often if _counts([lines[full[place]] for place in group]) for place in group}
    running = set(counting)
    for group in often:
        beside = sum(place - 1 in counting or place + 1 in counting for place in group)
        if len({" ".join(lines[full[place]].split()) for place in group}) == 1 and beside >= BESIDE * len(group):
            running.update(group)
    if not running:
        return lines, ""
    removed = {full[place] for place in running}
    return _without(lines, removed), heads.notice([" ".join(lines[number].split()) for number in sorted(removed)])


def _is_alone(lines: Sequence[str], number: int) -> bool:
    return not any(lines[place].strip() for place in (number - 1, number + 1) if 0 <= place < len(lines))


def _counts(group: Sequence[str]) -> bool:
    """Is the page's number what each line begins or ends with? "Question 3        (5 points)" is a heading."""
    return any(_ascends([edge.search(line) for line in group]) for edge in EDGES)


def _ascends(numbers: Sequence[re.Match[str] | None]) -> bool:
    pages = [int(number[1][-18:]) for number in numbers if number is not None]
    return len(pages) == len(numbers) and all(after - before in STEPS for before, after in pairwise(pages))


def _without(lines: Sequence[str], removed: set[int]) -> list[str]:
    """The other lines; where a sentence goes on behind a page's edge, no empty line parts it."""
    kept: list[str] = []
    at_edge = False
    for number, line in enumerate(lines):
        if number in removed:
            while kept and not kept[-1].strip():
                kept.pop()
            at_edge = True
        elif not at_edge or line.strip():
            if at_edge and kept and not line.strip()[0].islower():
                kept.append("")
            kept.append(line)
            at_edge = False
    return kept
