"""A dataset directory: where it is, its files of rows, and what a person changes in them.

A row is a JSON object with `messages` or `text`, and what is known of it (source, page, heading, evidence, by, score).
`train.jsonl` and `held_out.jsonl` are what a recipe reads, `rejected.jsonl` has each row's `reason` and the side it
would be on, `accepted.json` the keys of rows that a person took back, `asked.jsonl` what an author answered,
`refused.jsonl` the sources that could not be read, each with its `reason`, `report.json` the counts, and the checksums
by which an edit by hand is known.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gemmalocal import atomic, paths
from gemmalocal.errors import DatasetError
from gemmalocal.records import Message, Record

TRAIN, HELD_OUT, REJECTED = "train.jsonl", "held_out.jsonl", "rejected.jsonl"
ACCEPTED, ASKED, REPORT = "accepted.json", "asked.jsonl", "report.json"
REFUSED = "refused.jsonl"
Row = dict[str, Any]


def place(name: str) -> Path:
    """The folder of a dataset by its name in the workspace, or by its path; it need not be there."""
    if "/" in name or Path(name).expanduser().is_dir():
        return Path(name).expanduser().resolve()
    if not re.fullmatch(r"[\w][\w.-]*", name):
        raise DatasetError(f"'{name}' cannot be a dataset's name.", "Use letters, digits, '-', '_' and '.'.")
    return paths.datasets() / name


def find(name: str) -> Path:
    """The folder of a dataset that is there; raises `DatasetError`."""
    folder = place(name)
    if (folder / TRAIN).is_file():
        return folder
    known = ", ".join(sorted(file.parent.name for file in paths.datasets().glob(f"*/{TRAIN}"))) or "none yet"
    raise DatasetError(f"There is no dataset '{name}'.", f"Known datasets: {known}.")


def room(folder: Path) -> None:
    """Raise `DatasetError` if a dataset must not be made in a folder: it holds something else."""
    if folder.exists() and not _ours(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder} holds other files.", "Name a new folder, or an empty one.")


def _ours(folder: Path) -> bool:
    """Whether a folder is the job directory of a preparation."""
    try:
        return bool(json.loads((folder / "job.json").read_text(encoding="utf-8"))["kind"] == "prepare")
    except (OSError, ValueError, LookupError, TypeError):
        return False


def read(file: Path) -> list[Row]:
    """The rows of one of a dataset's files, in their order."""
    lines = file.read_text(encoding="utf-8").split("\n") if file.is_file() else []
    return [json.loads(line) for line in lines if line]


def key(row: Row) -> int:
    """A row's content as a number: see `Record.key`."""
    turns = tuple(Message(turn["role"], turn["content"]) for turn in row.get("messages", ()))
    return Record("", turns, row.get("text", "")).key


def write(folder: Path, rows: Mapping[str, Sequence[Row]], report: dict[str, Any]) -> None:
    """Replace files of rows, and last the report; without one, nothing is taken for an edit by hand."""
    (folder / REPORT).unlink(missing_ok=True)
    for name, content in rows.items():
        atomic.write_text(folder / name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content))
    sums = {name: _checksum(folder / name) for name in (TRAIN, HELD_OUT, REJECTED)}
    atomic.write_text(folder / REPORT, json.dumps({**report, "files": sums}, indent=2, ensure_ascii=False) + "\n")


def report(folder: Path) -> dict[str, Any]:
    """What was counted when the dataset was made; empty if it is not known."""
    file = folder / REPORT
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def edited(folder: Path) -> list[str]:
    """The files of rows that are not as they were written; one that is gone does not count."""
    sums = report(folder).get("files", {})
    return [name for name, known in sums.items() if (folder / name).is_file() and _checksum(folder / name) != known]


def accepted(folder: Path) -> set[int]:
    """The keys of rows that a person took back."""
    file = folder / ACCEPTED
    return set(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else set()


def accept(folder: Path, numbers: Iterable[int]) -> list[Row]:
    """Take rejected rows (by line, from 1) into the dataset, on the side of their document; the rows taken.

    They stay when the dataset is made again. Raises `DatasetError` for a line that is not there.
    """
    rejected = read(folder / REJECTED)
    chosen = sorted(set(numbers))
    if wrong := [number for number in chosen if not 1 <= number <= len(rejected)]:
        raise DatasetError(f"{REJECTED} has no row {wrong[0]}.", f"It has {len(rejected)}.")
    taken = [rejected[number - 1] for number in chosen]
    atomic.write_text(folder / ACCEPTED, json.dumps(sorted(accepted(folder) | {key(row) for row in taken})) + "\n")
    rows: dict[str, Sequence[Row]] = {
        name: read(folder / name) + [_plain(row) for row in taken if bool(row.get("held_out")) is side]
        for name, side in ((TRAIN, False), (HELD_OUT, True))
    }
    left = [row for number, row in enumerate(rejected, 1) if number not in chosen]
    write(folder, {**rows, REJECTED: left}, report(folder))
    return taken


def _plain(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in ("reason", "held_out")}


def _checksum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
