"""What a judge's choices between two answers come to, once it has seen each two in both orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from gemmalocal.evaluation.statistics import direction, mcnemar, wilson
from gemmalocal.jobs.plurals import counted

Choice = Literal["first", "second", "tie", ""]  # of the two answers as they stood; "" could not be read
Outcome = Literal["tuned", "base", "tie", "flip", "unread"]
FLIPS, UNREAD = 0.3, 0.5  # shares above which a judge gives no verdict
PREFERS = {1: "prefers the tuned model", -1: "prefers {against}", 0: "no difference that {rows} can show"}
SWAPPED: dict[Choice, Choice] = {"first": "second", "second": "first", "tie": "tie", "": ""}


def outcome(base_first: Choice, tuned_first: Choice) -> Outcome:
    """What both orders say together: an answer wins where it was chosen in both.

    A judge that chose an answer in one order and called the two equal in the other has not made up its mind: a tie.
    """
    again = SWAPPED[tuned_first]  # as if the base's answer had stood first again
    if "" in (base_first, again):
        return "unread"
    if base_first == again:
        return "tie" if base_first == "tie" else "base" if base_first == "first" else "tuned"
    return "tie" if "tie" in (base_first, again) else "flip"


def judged(choices: Sequence[tuple[Choice, Choice]], same: int, against: str) -> dict[str, Any]:
    """The figures of a judge by its choices (base first, tuned first); `same` rows had equal answers, and were ties.

    `verdict` is None where nothing can be concluded, and `why` says so in a sentence.
    """
    counts = Counter(outcome(*pair) for pair in choices)
    won, lost, flips, unread = (counts[name] for name in ("tuned", "base", "flip", "unread"))
    readable, rows = len(choices) - unread, len(choices) + same
    places = Counter(choice for pair in choices for choice in pair)
    why = _why_not(readable, flips, unread, places)
    word = PREFERS[direction(won, lost)].format(against=_named(against), rows=counted(rows, "row"))
    return {
        "rows": rows,
        "won": won,
        "lost": lost,
        "ties": counts["tie"] + same,
        "flips": flips,
        "unread": unread,
        "flip_rate": flips / readable if readable else None,
        "first_place": places["first"],
        "second_place": places["second"],
        "share": wilson(won, won + lost)._asdict() if won + lost else None,
        "p": mcnemar(won, lost),
        "verdict": None if why else word,
        "why": why,
    }


def _why_not(readable: int, flips: int, unread: int, places: Counter[Choice]) -> str:
    """Why a judge gives no verdict; empty if it gives one."""
    if unread > UNREAD * (readable + unread):
        return f"What it said of {unread} of {counted(readable + unread, 'row')} could not be read as a choice."
    if readable and flips > FLIPS * readable:
        where: Choice = "first" if places["first"] >= places["second"] else "second"
        return (
            f"Of {counted(readable, 'row')} it changed its choice in {flips} when the two answers "
            f"changed places; {places[where]} "
            f"times it chose the one that stood {where}. It goes by the place and not by the answer."
        )
    return ""


def _named(against: str) -> str:
    return "the base" if against == "base" else against


def sentence(figures: dict[str, Any]) -> str:
    """What a judge says, in one sentence."""
    by = figures.get("by", "the judge")
    if figures["verdict"] is None:
        return f"No verdict of the judge {by}: {figures['why']}"
    counts = f"{figures['won']} won, {figures['lost']} lost, {figures['ties']} ties, {figures['flips']} undecided"
    return f"The judge {by}: {figures['verdict']}; {counts} of {counted(figures['rows'], 'row')}."
