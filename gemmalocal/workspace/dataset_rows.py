"""One row of a dataset: its sides, the key by which it is known, and what a person did to it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from gemmalocal.records import Message, Record

DatasetRow = dict[str, Any]


def key(row: DatasetRow) -> int:
    """A row's content as a number: see `Record.key`."""
    turns = tuple(Message(turn["role"], turn["content"]) for turn in row.get("messages", ()))
    return Record("", turns, row.get("text", "")).key


def answer(row: DatasetRow) -> str:
    """What a row teaches: its last reply, or its text."""
    replies = [turn["content"] for turn in row.get("messages", ()) if turn["role"] == "assistant"]
    return str(replies[-1] if replies else row.get("text", ""))


def question(row: DatasetRow) -> str | None:
    """What its last reply answers; None for plain text."""
    place = _asked_at(row)
    return None if place is None else str(row["messages"][place]["content"])


def _asked_at(row: DatasetRow) -> int | None:
    """The place among its turns of what the last reply answers."""
    roles = [turn["role"] for turn in row.get("messages", ())]
    last = max((place for place, role in enumerate(roles) if role == "assistant"), default=0)
    return max((place for place, role in enumerate(roles[:last]) if role == "user"), default=None)


def answered(row: DatasetRow, text: str, asked: str | None = None) -> DatasetRow:
    """A row with another answer, and question; `was` is its key before the first such change."""
    new = {**row, "by": "hand", "was": origin(row)}
    if "messages" not in row:
        return {**new, "text": text}
    last = max(position for position, turn in enumerate(row["messages"]) if turn["role"] == "assistant")
    changed = {last: text, **({} if asked is None else {_asked_at(row): asked})}
    turns = [
        {**turn, "content": changed.get(position, turn["content"])} for position, turn in enumerate(row["messages"])
    ]
    return {**new, "messages": turns}


def origin(row: DatasetRow) -> int:
    """The key that a row had when it was made."""
    return int(row.get("was", key(row)))


@dataclass
class Hand:
    """What a person did to rows, by the keys that these had when they were made.

    `edited` are their new answers, `asked` their new questions. A row of the person's own is `accepted`.
    """

    accepted: set[int] = field(default_factory=set)
    dropped: set[int] = field(default_factory=set)
    edited: dict[int, str] = field(default_factory=dict)
    asked: dict[int, str] = field(default_factory=dict)

    def mended(self, row: DatasetRow) -> DatasetRow:
        """A row as it was made, with its new sides if it has any."""
        text, asked = self.edited.get(key(row)), self.asked.get(key(row))
        if text is None and asked is None:
            return row
        return answered(row, answer(row) if text is None else text, asked)

    def put_back(self, before: Hand, keys: Collection[int]) -> None:
        """Of some rows, what had been done before; of others what has been done since stays."""
        for now, then in ((self.accepted, before.accepted), (self.dropped, before.dropped)):
            now.difference_update(keys)
            now.update(then.intersection(keys))
        for texts, old in ((self.edited, before.edited), (self.asked, before.asked)):
            for row in keys:
                texts.pop(row, None)
            texts.update({row: text for row, text in old.items() if row in keys})


@dataclass(frozen=True)
class Undo:
    """What takes a change by hand back: the rows that go from a file, those that come back to their place, the hand."""

    gone: tuple[tuple[str, DatasetRow], ...]
    back: tuple[tuple[str, int, DatasetRow], ...]
    hand: Hand
