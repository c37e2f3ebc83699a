"""Answers that somebody rated good or bad: the column that says so, and what it says."""

from __future__ import annotations

import reprlib
from dataclasses import replace
from typing import Any

from gemmalocal.data import cells, turns
from gemmalocal.data.cells import Columns, UnusableRow
from gemmalocal.records import Record

LABELS = ("label", "thumbs_up", "thumb", "thumbs", "liked", "feedback", "vote", "rating", "kto_tag")
GOOD = {"true", "yes", "good", "up", "thumbs up", "thumbs_up", "thumb up", "like", "liked", "desirable", "chosen", "👍"}
BAD = {
    *("false", "no", "bad", "down", "thumbs down", "thumbs_down", "thumb down", "dislike", "disliked"),
    *("undesirable", "rejected", "👎"),
}


def label_column(columns: Columns, asked: bool) -> str:
    """The column that says whether an answer is good; "" if none does.

    A column `label` may name a class as well: without rows being `asked` for labels it must be of a completion or a
    conversation, and true or false, or a thumb.
    """
    for name in LABELS:
        if name in columns and _good(columns[name], asked) is not None:
            may_be_class = "completion" not in columns and not turns.conversation_column(columns)
            if asked or name != LABELS[0] or not (may_be_class or str(columns[name]).strip().lower() in ("yes", "no")):
                return name
    return ""


def _good(value: Any, numbers: bool) -> bool | None:
    """Whether a cell says good or bad; None for anything else."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in GOOD or word in BAD:
        return word in GOOD
    number = cells.number(value) if numbers else None
    return number > 0 if number in (-1, 0, 1) else None


def rated(record: Record, columns: Columns, name: str, last: bool) -> Record:
    """A row whose answer is good or bad, as the column `name` says; raises `UnusableRow`.

    Of a conversation it is the `last` one; of a prompt and its completion all that is learned.
    """
    good = _good(columns.get(name), numbers=True)
    if good is None:
        why = "it is not there" if name not in columns else f"it is {reprlib.repr(columns[name])}"
        raise UnusableRow(f"has no label, good or bad, in '{name}': {why}")
    answers = [place for place, turn in enumerate(record.messages) if turn.role == "assistant" and turn.learned]
    if not answers:
        raise UnusableRow("has a label, and no answer to a prompt")
    messages = record.messages[: answers[-1] + 1]
    return replace(record, messages=messages, prompt_turns=answers[-1 if last else 0], label=good)
