"""What files are, by size and hash, so that what a disk or a copy has changed is known by its name.

A record of them is JSON that holds its own hash too: one that was changed is told from one of before there were hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gemmalocal.files.manifest import sha256

SEAL = "sealed"  # the key of a record's own hash
CHANGED = "has changed on the disk"
FileMarks = dict[str, list[Any]]  # of each file, by its path in the folder: bytes, SHA-256


class Damaged(ValueError):
    """A record that does not match its own hash; says what is wrong, as a verb's phrase."""


def marks(folder: Path) -> FileMarks:
    """Size and hash of all files in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): [path.stat().st_size, sha256(path)] for path in files}


def weight_stamps(folder: Path) -> list[tuple[str, int, int]]:
    """Names, bytes and times (ns) of a folder's weights: they tell them from others, and no gigabyte is hashed."""
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(folder.glob("*.safetensors"))]


def damage(folder: Path, expected: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with files of a folder, by name, as a verb's phrase (`is missing`); sizes are looked at first."""
    wrong = {name: why for name, (size, _) in expected.items() if (why := wrong_size(folder / name, size))}
    if wrong:
        return wrong
    return {name: CHANGED for name, (_, digest) in expected.items() if _digest(folder / name) != digest}


def describe(wrong: Mapping[str, str]) -> str:
    """What `damage` tells, in a line."""
    return ", ".join(f"{name} {why}" for name, why in wrong.items())


def wrong_size(path: Path, expected: int) -> str:
    """What is wrong with a file that should have so many bytes, as a verb's phrase; empty if nothing is."""
    try:
        size = path.stat().st_size
    except OSError:
        return "is missing"
    if size == expected:
        return ""
    return "is empty" if not size else f"has {size:,} bytes instead of {expected:,}"


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError:  # a bad sector
        return ""


def seal(values: Mapping[str, Any]) -> str:
    """A record as JSON with its own hash."""
    return json.dumps({**values, SEAL: _own(values)})


def unseal(text: str) -> tuple[dict[str, Any], bool]:
    """A record, and whether it had a hash, which those of older versions have not; raises `Damaged`."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise Damaged("is not JSON" if text else "is empty") from None
    if not isinstance(values, dict):
        raise Damaged("is not a JSON object")
    own = values.pop(SEAL, None)
    if own is not None and own != _own(values):
        raise Damaged(CHANGED)
    return values, own is not None


def _own(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
