"""A dataset directory: where it is, its files of rows, and what a person changes in them.

A row is a JSON object with `messages` or `text`, and what is known of it (source, page, heading, passage_number,
evidence, by, kind, score, known).
`train.jsonl` and `held_out.jsonl` are what a recipe reads, `rejected.jsonl` has each row's `reason` and the side it
would be on, `by_hand.json` what a person accepted, dropped and edited, which holds when the dataset is made again,
`asked.jsonl` what an author answered, `refused.jsonl` the sources that could not be read, each with its `reason`,
`warnings.jsonl` those whose text looks wrong, each with its `warning`, `ratings.json` what a person thinks of rows,
`report.json` the counts, and the checksums by which an edit of the files themselves is known.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import dropwhile
from pathlib import Path
from typing import Any

from gemmalocal.errors import DatasetError
from gemmalocal.files import atomic, paths, staging, targets
from gemmalocal.jobs import processes
from gemmalocal.jobs.terminal_text import as_json
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace.dataset_rows import DatasetRow, Hand, Undo, answered, key, origin

REJECTED = "rejected.jsonl"
BY_HAND, ASKED, REPORT = "by_hand.json", "asked.jsonl", "report.json"
CHANGE = "changing.json"  # a change by hand that is under way: the new content of each file that it changes
REFUSED, WARNINGS = "refused.jsonl", "warnings.jsonl"
SIDES = (TRAIN_FILE, HELD_OUT_FILE, REJECTED)
DROPPED = "was dropped by hand"  # the reason of such a row


def folder_of(name: str) -> Path:
    """The folder of a dataset by its name in the workspace, or by a path (`./name`); it need not be there.

    A path that goes down and up again (`papers/../name`) is taken for a slip: it would be made where nobody looks.
    """
    if ".." in name.split("/") and not name.startswith(("/", "./", "../", "~")):
        raise DatasetError(f"'{name}' is no name, and leads somewhere else.", "Use a name, or a path such as ./name.")
    if "/" in name or name in (".", "..", "~"):
        parts = name.split("/")
        if ".." in dropwhile(lambda part: part in (".", "..", "~", ""), parts):
            raise DatasetError(
                f"'{name}' leads out of the folder that it names.", "Give a name, or a path without '..'."
            )
        return targets.resolved(name)
    if len(name.encode(errors="replace")) > targets.LONGEST:
        raise DatasetError(
            f"'{name[:40]}...' is too long for a dataset's name.", f"Use at most {targets.LONGEST} bytes."
        )
    if not re.fullmatch(r"[\w][\w.-]*", name):
        raise DatasetError(f"'{name}' cannot be a dataset's name.", "Use letters, digits, '-', '_' and '.'.")
    return paths.datasets() / name


def find(name: str) -> Path:
    """The folder of a dataset that is there; raises `DatasetError`."""
    folder = folder_of(name)
    if (folder / TRAIN_FILE).is_file():
        return folder
    known = ", ".join(sorted(file.parent.name for file in paths.datasets().glob(f"*/{TRAIN_FILE}"))) or "none yet"
    raise DatasetError(f"There is no dataset '{name}'.", f"Known datasets: {known}.")


def check_target(folder: Path) -> None:
    """Raise `DatasetError` or `RecipeError` if a dataset must not be made in a folder: it holds something else."""
    targets.check_place(folder)
    if folder.exists() and not ours(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"{folder} holds other files.", "Name a new folder, or an empty one.")


def ours(folder: Path) -> bool:
    """Whether a folder is the job directory of a preparation."""
    try:
        return bool(json.loads((folder / "job.json").read_text(encoding="utf-8"))["kind"] == "prepare")
    except (OSError, ValueError, LookupError, TypeError):
        return False


def read(file: Path) -> list[DatasetRow]:
    """The rows of one of a dataset's files, in their order; raises `DatasetError` for a line that is not a row."""
    return list(numbered(file).values())


def numbered(file: Path) -> dict[int, DatasetRow]:
    """The same by the numbers of their lines, from 1."""
    lines = file.read_text(encoding="utf-8").split("\n") if file.is_file() else []
    rows = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                rows[number] = dict(json.loads(line))
            except (ValueError, TypeError) as error:
                raise DatasetError(
                    f"{file}:{number} is not a row.", "Repair the line, or make the dataset again."
                ) from error
    return rows


def write(folder: Path, rows: Mapping[str, Sequence[DatasetRow]], report: dict[str, Any]) -> None:
    """Replace files of rows, and last the report; without one, nothing is taken for an edit by hand."""
    (folder / REPORT).unlink(missing_ok=True)
    for name, content in rows.items():
        atomic.write_text(folder / name, _lines(content))
    sums = {name: _checksum(folder / name) for name in SIDES}
    atomic.write_text(folder / REPORT, _report({**report, "files": sums}))


def report(folder: Path) -> dict[str, Any]:
    """What was counted when the dataset was made; empty if it is not known."""
    file = folder / REPORT
    return _object(file) if file.is_file() else {}


def edited(folder: Path) -> list[str]:
    """The files of rows that are not as they were written; one that is gone does not count."""
    sums = report(folder).get("files", {})
    return [
        name for name, checksum in sums.items() if (folder / name).is_file() and _checksum(folder / name) != checksum
    ]


def by_hand(folder: Path) -> Hand:
    """What a person accepted, dropped and edited."""
    file = folder / BY_HAND
    if not file.is_file():
        return Hand()
    content = _object(file)
    try:
        edited, asked = (
            {int(name): str(text) for name, text in texts.items()}
            for texts in (content["edited"], content.get("asked", {}))
        )
        return Hand(set(map(int, content["accepted"])), set(map(int, content["dropped"])), edited, asked)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        hint = "Repair it. Without it, your changes by hand are lost when the dataset is made again."
        raise DatasetError(f"{file} is damaged: it does not say what was changed by hand.", hint) from error


def decided(folder: Path, hand: Hand, made: Collection[int]) -> dict[str, list[DatasetRow]]:
    """By file, the rows that a person edited, accepted or dropped, and that are none of those `made` anew (keys)."""
    rows = {name: [row for row in read(folder / name) if origin(row) not in made] for name in SIDES}
    return {
        name: [
            row
            for row in rows[name]
            if (name == REJECTED and origin(row) in hand.dropped and row["reason"] == DROPPED)
            or (name != REJECTED and origin(row) in {*hand.accepted, *hand.edited, *hand.asked})
        ]
        for name in SIDES
    }


def lines(file: Path, numbers: Iterable[int]) -> list[DatasetRow]:
    """The rows of some lines, from 1, each once; raises `DatasetError` for a line that is not there."""
    rows = numbered(file)
    chosen = sorted(set(numbers))
    if wrong := [number for number in chosen if number not in rows]:
        raise DatasetError(f"{file.name} has no row {wrong[0]}.", f"It has {len(rows)}.")
    return [rows[number] for number in chosen]


def accept(folder: Path, rows: Sequence[DatasetRow]) -> Undo:
    """Take rejected rows into the dataset, each on the side of its document.

    Raises `DatasetError` for one that is not there (any more), `JobBusy` while the dataset is being made.
    """
    with changing(folder):
        hand, left = by_hand(folder), read(folder / REJECTED)
        before = deepcopy(hand)
        back = []
        for row in rows:
            back.append((REJECTED, _take_out(row, left, REJECTED), row))
            hand.accepted.add(origin(row))
            hand.dropped.discard(origin(row))
        gone = [(HELD_OUT_FILE if row.get("held_out") else TRAIN_FILE, _plain(row)) for row in rows]
        sides = {
            side: read(folder / side) + [row for name, row in gone if name == side]
            for side in (TRAIN_FILE, HELD_OUT_FILE)
        }
        _change(folder, hand, {**sides, REJECTED: left})
    return Undo(tuple(gone), tuple(back), before)


def drop(folder: Path, name: str, *rows: DatasetRow) -> Undo:
    """Move rows of the file `name` (`TRAIN_FILE` or `HELD_OUT_FILE`) to the rejected ones; raises as `accept`."""
    with changing(folder):
        hand, left = by_hand(folder), read(folder / name)
        before = deepcopy(hand)
        back = [(name, _take_out(row, left, name), row) for row in rows]
        for row in rows:
            hand.dropped.add(origin(row))
            hand.accepted.discard(origin(row))
        rejected = [{**row, "reason": DROPPED, "held_out": name == HELD_OUT_FILE} for row in rows]
        _change(folder, hand, {REJECTED: [*read(folder / REJECTED), *rejected], name: left})
    return Undo(tuple((REJECTED, row) for row in rejected), tuple(back), before)


def edit(folder: Path, name: str, row: DatasetRow, text: str, asked: str | None = None) -> Undo:
    """Give a row of the file `name` another answer, and question; raises as `accept`, and `DatasetError` for none."""
    _check_sides(text, asked)
    with changing(folder):
        hand, rows = by_hand(folder), read(folder / name)
        before, place = deepcopy(hand), _take_out(row, rows, name)
        new = answered(row, text, asked)
        rows.insert(place, new)
        hand.edited[origin(row)] = text
        if asked is not None:
            hand.asked[origin(row)] = asked
        _change(folder, hand, {name: rows})
    return Undo(((name, new),), ((name, place, row),), before)


def add(folder: Path, name: str, text: str, asked: str | None = None) -> Undo:
    """Put a person's own row at the end of the file `name`; raises as `edit`, and for one that is there already."""
    _check_sides(text, asked)
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": text}]
    new: DatasetRow = {"text": text} if asked is None else {"messages": turns}
    new |= {"source": "by hand", "by": "hand"}
    with changing(folder):
        hand, rows = by_hand(folder), read(folder / name)
        if key(new) in map(key, rows):
            raise DatasetError("That row is there already.", "Change it, or leave it as it is.")
        before = deepcopy(hand)
        hand.accepted.add(key(new))
        _change(folder, hand, {name: [*rows, new]})
    return Undo(((name, new),), (), before)


def undo(folder: Path, change: Undo) -> None:
    """Take a change by hand back; raises `DatasetError` where its rows were changed again since, and `JobBusy`."""
    with changing(folder):
        hand = by_hand(folder)
        moved = [*change.gone, *((name, row) for name, _, row in change.back)]
        files = {name: read(folder / name) for name, _ in moved}
        for name, row in change.gone:
            _take_out(row, files[name], name)
        for name, place, row in reversed(change.back):
            files[name].insert(place, row)
        hand.put_back(change.hand, {origin(row) for _, row in moved})
        _change(folder, hand, files)


def _check_sides(text: str, asked: str | None) -> None:
    """Raise `DatasetError` for a side of a row that says nothing."""
    if not text.strip():
        raise DatasetError("An answer cannot be empty.", "Drop the row instead.")
    if asked is not None and not asked.strip():
        raise DatasetError("A question cannot be empty.", "Write what the answer is given to.")


def rescore(folder: Path, threshold: int, reason: str) -> tuple[int, int]:
    """Let only rows of at least this score stay, for whoever has the dataset to itself.

    Rejected rows whose reason begins with `reason` come back if they reach it. Rows without a score, and those that a
    person edited or accepted, stay. Returns how many came back, and how many went.
    """
    hand = by_hand(folder)
    files = {name: read(folder / name) for name in SIDES}
    back = [row for row in files[REJECTED] if row["reason"].startswith(reason) and row.get("score", 0) >= threshold]
    files[REJECTED] = [row for row in files[REJECTED] if row not in back]
    gone = 0
    for name, side in ((TRAIN_FILE, False), (HELD_OUT_FILE, True)):
        low = [
            row
            for row in files[name]
            if row.get("score", threshold) < threshold and row.get("by") != "hand" and origin(row) not in hand.accepted
        ]
        files[name] = [row for row in files[name] if row not in low]
        files[name] += [_plain(row) for row in back if bool(row.get("held_out")) is side]
        reasons = [f"{reason} {threshold}: {row['score']}" for row in low]
        files[REJECTED] += [{**row, "reason": why, "held_out": side} for row, why in zip(low, reasons, strict=True)]
        gone += len(low)
    _change(folder, hand, files)
    return len(back), gone


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Have a dataset to oneself, with what was cut short brought to its end; raises `JobBusy`."""
    with processes.held(folder):
        finish_change(folder)
        yield


def finish_change(folder: Path) -> None:
    """The same for whoever has the dataset to itself: a change is written down whole before any file changes."""
    staging.sweep(folder)
    file = folder / CHANGE
    if not file.is_file():
        return
    for name, content in _object(file).items():
        if name != REPORT:
            atomic.write_text(folder / name, content)
    atomic.write_text(folder / REPORT, _object(file)[REPORT])
    file.unlink()


def _take_out(row: DatasetRow, rows: list[DatasetRow], name: str) -> int:
    """Remove a row from `rows`; where it was."""
    if row not in rows:
        raise DatasetError(f"The row is not in {name} any more.", "It was changed elsewhere. Open the dataset again.")
    position = rows.index(row)
    del rows[position]
    return position


def _change(folder: Path, hand: Hand, rows: Mapping[str, Sequence[DatasetRow]]) -> None:
    """Write what a person did. Rows come to their new file before they leave the old: twice is better than not at all.

    A file that was edited by other means stays known as such, so that no preparation writes over it.
    """
    changes = {
        "accepted": sorted(hand.accepted),
        "dropped": sorted(hand.dropped),
        "edited": hand.edited,
        "asked": hand.asked,
    }
    files = {BY_HAND: json.dumps(changes, ensure_ascii=False) + "\n", **{name: _lines(rows[name]) for name in rows}}
    counted = report(folder)
    sums = {name: _sum(files[name].encode()) if name in files else _checksum(folder / name) for name in SIDES}
    sums |= {name: counted["files"][name] for name in edited(folder)}
    files[REPORT] = _report({**counted, "files": sums})
    atomic.write_text(folder / CHANGE, json.dumps(files, ensure_ascii=False))
    finish_change(folder)


def _lines(rows: Iterable[DatasetRow]) -> str:
    return "".join(as_json(row) + "\n" for row in rows)


def _report(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _plain(row: DatasetRow) -> DatasetRow:
    return {name: value for name, value in row.items() if name not in ("reason", "held_out")}


def _checksum(file: Path) -> str:
    return _sum(file.read_bytes())


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _object(file: Path) -> dict[str, Any]:
    """A JSON object of ours; raises `DatasetError` for a file that holds something else."""
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise DatasetError(f"{file} is damaged: it is not a JSON object.", "Repair or delete the file.")
    return content
