"""docs/events.md: the contract of events.jsonl, from the event classes and their docstrings."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import NamedTuple, get_type_hints

from docs.generate.tables import NOTE, code, table
from gemmalocal.jobs import events as all_events
from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import (
    CONTRACT,
    Asked,
    Cleared,
    Counted,
    Declined,
    Evaluated,
    Event,
    Failed,
    Finished,
    Found,
    Notice,
    Progress,
    Read,
    Replied,
    Reply,
    Report,
    Rollback,
    Rows,
    Sample,
    Saved,
    Skipped,
    Stage,
    Started,
    Step,
    Trial,
    Tried,
    Voices,
    Voted,
)

AT = 1767225600.25  # when the examples happened
GEMMA = "gemma-3-270m-demo"


class Group(NamedTuple):
    """Events of a kind of job, each as an example."""

    title: str
    about: str
    examples: list[Event]


GROUPS = [
    Group(
        "Every job",
        "A job begins with `started`. It ends with `finished` or `failed`, unless it was killed.",
        [
            Started("train", 4711, 1, {"gemmalocal": "0.1.0", "mlx": "0.32.0"}),
            Stage("reading the rows"),
            Progress("counting tokens", 2000, 8000, 12.5),
            Notice("3 rows cut at 128 tokens"),
            Finished("done", "100 of 100 steps; the adapter of step 100 is in adapter/"),
            Failed("DatasetError", "No row is left to train on.", "Raise data.max_length, or correct the rows.", 2),
        ],
    ),
    Group(
        "A training",
        "After a `rollback` the steps beyond `to` come again: they stand in the file twice, and the later ones count.",
        [
            Step(25, 100, 2.71, 812, 0.0002, 1.4, 0.82, 1_840_000_000, 1_210_000_000, 350_000_000),
            Skipped(31, "its loss is nan and its gradient's norm nan"),
            Rollback(
                60, 50, 0.5, "3 bad steps in a row; at the last its loss of 9.1 is far above the 3.9 before training"
            ),
            Trial(0, 1, "learning_rate 0.0004", 5, 40, 3.1),
            Tried(0, 1, "learning_rate 0.0004", 40, 2.61),
            Evaluated(25, 2.56, 10_240),
            Saved(25, "/home/me/gemmalocal/runs/quotes-1/checkpoints/000025", True),
            Sample(25, "during", "Quote: Imagination is more", " important than money.\nAuthor: Thomas Edison", True),
        ],
    ),
    Group(
        "A chat",
        "A chat says `voices` once it can be asked. A `reply` is a piece of an answer, `replied` the whole of it.",
        [
            Voices([GEMMA, "quotes-1"], ["text", "text"]),
            Asked(1, "Quote: Imagination", "", {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "seed": 0}),
            Reply(1, 0, " is more", 2),
            Replied(1, 0, " is more important than money.", 7, 0.61, 0.08, "end"),
            Voted(1, 1),
            Cleared(),
            Declined("ask", "nothing is asked"),
        ],
    ),
    Group(
        "A preparation",
        "One `read` comes for each document, and `counted` as rows are made.",
        [Read("manual.pdf", 14, "", ["2 pages hold no text."]), Counted(120, {"repeats another": 4})],
    ),
    Group(
        "Short jobs, and pages of rows",
        "`check`, `doctor`, `models`, `export` and their like answer with one `report`.",
        [
            Report({"model": GEMMA, "steps": 100}),
            Rows("train", 0, [{"source": "rows.jsonl:1", "pieces": [["Quote: ", False], ["Be kind.", True]]}]),
            Found("train", "kind", [0, 7]),
        ],
    ),
]
WORDS = {  # fields that are words for people, or that each job fills in its own way: they may change at any time
    "started": ("versions",),
    "stage": ("name",),
    "progress": ("what",),
    "notice": ("text",),
    "skipped": ("why",),
    "rollback": ("why",),
    "trial": ("words",),
    "tried": ("words",),
    "declined": ("why",),
    "read": ("refused", "warnings"),
    "counted": ("rejected",),
    "finished": ("message",),
    "failed": ("message", "hint"),
    "report": ("data",),
    "rows": ("rows",),
}
TYPES = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "Any": "anything"}
INTRO = f"""
Every job has a folder, and in it `events.jsonl`: what it has said, one JSON object a line, in the order in which it
happened. `--json` of `train`, `resume`, `watch` and `prepare` prints the same lines. This page is the contract for
programs that read them. Its number is {CONTRACT}; `started` tells it as `contract`.

Each line has `event`, the name below, and `at`, when it was said, in seconds since 1970 (UTC). The other fields follow.

## What is stable

- An event's name, and each field below that is marked as stable, keep their name, their type and their meaning as
  long as the number of the contract is the same.
- Fields that are not marked are words for people, or what each job fills in its own way. Show them, but do not
  compare them.
- New events and new fields may come at any time. Skip an event and a field that you do not know.
- A field with a default may be missing in files of older versions. Then it has that default.

## How to read the file

- The last line may be half written. Wait for its end, or leave it out.
- A job that is resumed writes on in the same file: another `started` comes, with the next `attempt`.
- Death is never written. If the last line is neither `finished` nor `failed`, and nobody holds the lock on
  `lock` in the folder, the job was killed. `gemmalocal runs --json` says so.
- The exit codes in `failed.code`: 1 failed, 2 recipe, data or usage, 3 model or backend missing, 4 killed or out of
  memory.
"""


def page() -> str:
    """The whole page."""
    lines = ["# events.jsonl", NOTE, *INTRO.rstrip().splitlines()]
    for group in GROUPS:
        lines += ["", f"## {group.title}", "", group.about]
        for example in group.examples:
            lines += _event(example)
    return "\n".join(lines) + "\n"


def _name(example: Event) -> str:
    """As it stands in the file."""
    return str(json.loads(encode(example, AT))["event"])


def _event(example: Event) -> Iterator[str]:
    name = _name(example)
    yield from ("", f"### {name}", "", " ".join(inspect.cleandoc(type(example).__doc__ or "").split()), "")
    rows = list(_fields(type(example), name))
    if rows:
        yield from (*table(["field", "type", "default", "stable"], rows), "")
    yield from code(encode(example, AT))


def _fields(kind: type[Event], name: str) -> Iterator[list[str]]:
    hints = get_type_hints(kind, vars(all_events))
    for field in fields(kind):
        words = field.name in WORDS.get(name, ())
        yield [f"`{field.name}`", _type(hints[field.name]), _default(field), "" if words else "yes"]


def _type(hint: object) -> str:
    text = hint.__name__ if isinstance(hint, type) and not getattr(hint, "__args__", ()) else str(hint)
    text = text.replace("typing.", "").replace(" | None", " or null")
    text = re.sub(r"\b(list|dict)\[(?:str, )?", lambda match: "list of " if match[1] == "list" else "object of ", text)
    return re.sub(r"\w+", lambda match: TYPES.get(match[0], match[0]), text.replace("]", ""))


def _default(field: Field[object]) -> str:
    if field.default_factory is not MISSING:
        return f"`{str(field.default_factory())}`"
    if field.default is MISSING:
        return ""
    return "null" if field.default is None else "empty" if field.default == "" else f"`{field.default}`"


def documented() -> list[str]:
    """The names of the events on the page."""
    return [_name(example) for group in GROUPS for example in group.examples]
