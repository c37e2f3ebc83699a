"""Foreign text at its worst, planted wherever text can stand; and the look whether it has come out."""

from __future__ import annotations

import dataclasses
import json
import re
import unicodedata
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from gemmalocal.files import paths
from gemmalocal.jobs.event_lines import encode
from gemmalocal.jobs.events import KINDS, Event

STEERING = "\x1b]0;T\x07\x1b[2J\x9b31m\x9d0;T\x9c\x7f\r\x08\x00"  # titles, wiped screens, colours, overwritten text
MISLEADING = "\u202ecba\u2066\u200bx\u200dy\u2028z\ufeff\xad\U000e0041"
EVIL = f"evil{STEERING}{MISLEADING}\udcff[red]m[/red][/x][@click=app.quit]q[/]"
NAME = "evil\x1b]0;T\x07\x1b[2J\x9b31m\u202e\u200b[red]m[@click=app.quit]q"  # of a file
OURS = re.compile(r"\x1b\[[0-9;]*m|\r\x1b\[K")  # styles, and the bar's line


def raw(text: str) -> list[str]:
    """The marks in a text that could steer a terminal, or mislead its reader."""
    return [
        mark for mark in text if mark not in "\n\t" and unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    ]


def planted(hint: Any) -> Any:
    """A value of a type, with evil text in every place."""
    if get_origin(hint) is list:
        return [planted(get_args(hint)[0])]
    if get_origin(hint) is dict:
        return {EVIL: planted(get_args(hint)[1])}
    parts = [part for part in get_args(hint) if part is not NoneType]
    if parts:
        return planted(parts[0])
    return {int: 3, float: 0.5, bool: True}.get(hint, EVIL)


def event(kind: type[Event]) -> Event:
    """An event of a kind, with evil text in every field, be it one that was added today."""
    hints = get_type_hints(kind)
    return kind(**{field.name: planted(hints[field.name]) for field in dataclasses.fields(kind)})


EVENTS = {name: event(kind) for name, kind in KINDS.items()}


def folder(place: Path, events: list[Event], kind: str = "train", name: str = NAME, **spec: Any) -> Path:
    """A job directory in which everything is evil."""
    made = place / name
    made.mkdir(parents=True)
    about = {"kind": kind, "spec": {"model": EVIL, "data": {"path": EVIL}, "sources": [EVIL], **spec}}
    (made / "job.json").write_text(json.dumps(about))
    (made / "events.jsonl").write_text("".join(encode(one, 1e9) + "\n" for one in events))
    (made / "log.txt").write_bytes(f"{EVIL}\n".encode("utf-8", "surrogatepass") + b"\xff\x1b[2J\n")
    return made


def run(events: list[Event], **spec: Any) -> Path:
    """A run's directory in which everything is evil."""
    return folder(paths.runs(), events, **spec)
