"""One row of a dataset: its sides, the key by which it is known, and what a person did to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gemmalocal.records import Message, Record

DatasetRow = dict[str, Any]
REPLIES = {"chosen", "completion"}  # of a row that judges answers to its `prompt`: see `workspace.votes`


def record(row: DatasetRow) -> Record:
    """A row as what is trained on."""
    return Record(
        "",
        _messages(turns(row)),
        row.get("text", ""),
        prompt_turns=len(row.get("prompt", ())),
        rejected=_messages(row.get("rejected", ())),
        label=row.get("label"),
    )


def key(row: DatasetRow) -> int:
    """All of a row's content as a number: see `Record.near_key`."""
    return record(row).near_key


def _messages(turns: Iterable[Mapping[str, str]]) -> tuple[Message, ...]:
    return tuple(Message(turn["role"], turn["content"]) for turn in turns)


def turns(row: DatasetRow) -> list[dict[str, str]]:
    """A row's turns; of one that judges answers, its prompt and what was chosen, or rated."""
    if REPLIES.isdisjoint(row):
        return list(row.get("messages", ()))
    return [*row["prompt"], *row["chosen" if "chosen" in row else "completion"]]


def answer(row: DatasetRow) -> str:
    """What a row teaches: its last reply, or its text."""
    replies = [turn["content"] for turn in turns(row) if turn["role"] == "assistant"]
    return str(replies[-1] if replies else row.get("text", ""))


def question(row: DatasetRow) -> str | None:
    """What its last reply answers; None for plain text."""
    place = _asked_at(row)
    return None if place is None else str(turns(row)[place]["content"])


def _asked_at(row: DatasetRow) -> int | None:
    """The place among its turns of what the last reply answers."""
    roles = [turn["role"] for turn in turns(row)]
    last = max((place for place, role in enumerate(roles) if role == "assistant"), default=0)
    return max((place for place, role in enumerate(roles[:last]) if role == "user"), default=None)


def answered(row: DatasetRow, text: str, asked: str | None = None) -> DatasetRow:
    """A row with another answer, and question; `was` is its key before the first such change."""
    new = {**row, "by": "hand", "was": origin(row)}
    before = turns(row)
    if not before:
        return {**new, "text": text}
    last = max(position for position, turn in enumerate(before) if turn["role"] == "assistant")
    changed = {last: text, **({} if asked is None else {_asked_at(row): asked})}
    after = [{**turn, "content": changed.get(position, turn["content"])} for position, turn in enumerate(before)]
    if REPLIES.isdisjoint(row):
        return {**new, "messages": after}
    border = len(row["prompt"])
    return {**new, "prompt": after[:border], "chosen" if "chosen" in row else "completion": after[border:]}


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
