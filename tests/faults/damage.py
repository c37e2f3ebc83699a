"""What may happen to files that lie on a disk: a flipped bit, a cut, a lost or empty file, a value of a wrong type."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any, Literal

Harm = Literal["flip", "cut", "empty", "lose", "append", "wrong type"]
HARMS: tuple[Harm, ...] = ("flip", "cut", "empty", "lose", "append", "wrong type")
WRONG: tuple[Any, ...] = (None, [], {}, "text", 7, -1.5, True, [None], {"a": {"b": []}}, 10**40, "\x1b[2J\u202e")
LEFT_ALONE = ("lock", "log.txt", "inbox.jsonl")  # made anew by each start, or only read by people


def files(home: Path) -> list[Path]:
    """Those that can be harmed, in an order that does not depend on the disk."""
    return sorted(path for path in home.rglob("*") if path.is_file() and path.name not in LEFT_ALONE)


def harm(file: Path, how: Harm, random: Random) -> str:
    """Do it; what was done, in words."""
    content = file.read_bytes()
    if how == "wrong type" and file.suffix in (".json", ".jsonl"):
        return _retyped(file, content, random)
    if how == "lose":
        file.unlink()
        return f"{file.name} lost"
    if how == "empty" or not content:
        file.write_bytes(b"")
        return f"{file.name} empty"
    place = random.randrange(len(content))
    if how == "cut":
        file.write_bytes(content[:place])
        return f"{file.name} cut at {place} of {len(content)}"
    if how == "append":
        file.write_bytes(content + random.randbytes(random.randrange(1, 64)))
        return f"{file.name} with more at its end"
    file.write_bytes(content[:place] + bytes([content[place] ^ 1 << random.randrange(8)]) + content[place + 1 :])
    return f"{file.name} with a bit flipped in byte {place} of {len(content)}"


def _retyped(file: Path, content: bytes, random: Random) -> str:
    """A JSON file, or a line of one of lines, with a value of another type in a random place."""
    lines = content.splitlines() if file.suffix == ".jsonl" else [content]
    place = random.randrange(len(lines)) if lines else 0
    try:
        value = json.loads(lines[place])
    except (ValueError, IndexError):
        file.write_bytes(b"null")
        return f"{file.name} is null"
    lines[place] = json.dumps(_changed(value, random)).encode()
    file.write_bytes(b"\n".join(lines) + (b"\n" if file.suffix == ".jsonl" else b""))
    return f"{file.name} with a wrong value in line {place + 1}"


def _changed(value: Any, random: Random) -> Any:
    if value and random.random() < 0.8:
        if isinstance(value, dict):
            key = random.choice(sorted(value))
            return {**value, key: _changed(value[key], random)}
        if isinstance(value, list):
            place = random.randrange(len(value))
            return [*value[:place], _changed(value[place], random), *value[place + 1 :]]
    return random.choice([other for other in WRONG if type(other) is not type(value)])
