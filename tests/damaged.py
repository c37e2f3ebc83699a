"""What may have happened to a job's directory: each takes a whole one, and does it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gemmalocal.jobs.events import KINDS

DEEP = "[" * 200_000
NOT_JSON: dict[str, str | bytes] = {
    "empty": "", "null": "null", "list": "[]", "number": "3", "text": '"', "bytes": b"\xff\xfe\x00", "deep": DEEP,
    "digits": "9" * 5_000, "no kind": '{"spec": {}}', "kind of number": '{"kind": 3, "spec": {}}',
    "spec of list": '{"kind": "train", "spec": []}', "torn": '{"kind": "train", "sp',
}  # fmt: skip
ODD: list[Any] = [
    None,
    3,
    "x",
    [],
    [None],
    {},
    {"a": []},
    10**30,
    -(10**30),
    1e400,
    float("nan"),
    True,
    "\x1b[2J",
    [[[[]]]],
]
# A whole run whose spec, and whose events, hold what nobody expects.
SPECS = [{}, {"model": [], "data": 3}, {"model": 3, "data": {"path": {}}}, {"data": None, "sources": 3, "to": []}]


def lines() -> list[str]:
    """Events of every kind with odd values in every field, and what are no events at all."""
    found = ["", "null", "3", "[]", '"x"', "{", DEEP[:5_000], '{"event": null}', '{"event": ["step"]}', '{"event": {}}']
    for name, kind in KINDS.items():
        fields = list(kind.__dataclass_fields__)
        found.append(json.dumps({"event": name}))
        found += [json.dumps({"event": name, **dict.fromkeys(fields, odd)}) for odd in ODD]
    return found


def replaced(name: str, content: str | bytes) -> Callable[[Path], None]:
    """A file with another content."""
    data = content.encode() if isinstance(content, str) else content

    def do(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return do


def other(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Something else at a file's place."""

    def do(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return do


def away(folder: Path, make: Callable[[Path], object]) -> None:
    """Something else at the folder's place."""
    shutil.rmtree(folder)
    make(folder)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


THINGS: dict[str, Callable[[Path], object]] = {
    "folder": Path.mkdir, "dangling link": dangling, "loop": loop, "pipe": os.mkfifo,
}  # fmt: skip
DAMAGES: dict[str, Callable[[Path], None]] = {
    **{f"job.json: {what}": replaced("job.json", content) for what, content in NOT_JSON.items()},
    **{f"{name}: {what}": other(name, make) for name in ("job.json", "events.jsonl", "log.txt", "lock")
       for what, make in THINGS.items()},
    "job.json: none": lambda folder: (folder / "job.json").unlink(),
    "events.jsonl: odd": replaced("events.jsonl", "\n".join([*lines(), ""])),
    "events.jsonl: one long line": replaced("events.jsonl", "x" * 300_000),
    "events.jsonl: bytes": replaced("events.jsonl", bytes(range(256)) * 50 + b"\n"),
    "a file": lambda folder: away(folder, Path.touch),
    "a dangling link": lambda folder: away(folder, dangling),
    "a loop": lambda folder: away(folder, loop),
    **{f"spec {number}": replaced("job.json", json.dumps({"kind": "train", "spec": spec}))
       for number, spec in enumerate(SPECS)},
}  # fmt: skip
