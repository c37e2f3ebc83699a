"""What rows are for: to be imitated, to be compared in pairs, or to be taken with their labels."""

from __future__ import annotations

from gemmalocal.data.cells import UnusableRow
from gemmalocal.records import Record

NEEDED = {  # by what rows are for, what helps where none is
    "pairs": "This objective needs rows with a prompt, a chosen and a rejected answer. For others: objective.kind.",
    "rated": "kto needs rows with a prompt, a completion and a label, or pairs of answers. For others: objective.kind.",
}


def used(record: Record, use: str) -> tuple[Record, ...]:
    """What a record is to an objective that compares (`pairs`), rates (`rated`) or imitates (""); raises `UnusableRow`.

    Imitated are chosen answers and good ones: a bad one is nothing.
    """
    if use == record.kind:
        return (record,)
    if use == "pairs":
        raise UnusableRow("compares no two answers")
    if use == "rated":
        if record.kind != "pairs":
            raise UnusableRow("has no label that says whether its answer is good or bad")
        return record.answers
    return (record.imitated,) if record.label is not False else ()
