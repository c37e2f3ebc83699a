"""A recorded workspace, put where it is opened: in the recording itself nothing says where it was made."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

PLACE = "@PLACE@"  # stands in a recording for the folder that it lies in
HOME, ROWS, DOCUMENTS, RECIPE = "home", "rows.jsonl", "documents", "recipe.yaml"  # what lies there
AUTHOR = "http://author.invalid/v1"  # of the interrupted preparation; it is reached by a proxy
EARLIEST = 1_000_000_000.0  # seconds: of files that no job made


def open_copy(recording: Path, folder: Path) -> Path:
    """Copy a recording to `folder`, which must not exist, as if it had been made there; its workspace."""
    shutil.copytree(recording, folder)
    put(folder, PLACE, str(folder))
    _date(folder)
    return folder / HOME


def put(folder: Path, old: str, new: str) -> list[Path]:
    """Write `new` where the files of `folder` say `old`, and the checksums that follow from it; the files changed."""
    sums, changed = dict[bytes, bytes](), list[Path]()
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for file in files:
        before = file.read_bytes()
        after = before.replace(old.encode(), new.encode())
        if after != before:
            file.write_bytes(after)
            changed.append(file)
            sums[_sum(before)] = _sum(after)
    for file in files:
        before = after = file.read_bytes()
        for was, now in sums.items():
            after = after.replace(was, now)
        if after != before:
            file.write_bytes(after)
    return changed


def _sum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _date(folder: Path) -> None:
    """Date each file by the last event of its job, since version control keeps no times."""
    ends = dict[Path, float]()
    for events in folder.rglob("events.jsonl"):
        ends[events.parent] = json.loads(events.read_text(encoding="utf-8").splitlines()[-1])["at"]
    for job in [job for job in ends if job.parent.name == "exporting"]:
        ends[job.parent.parent / "exports" / job.name] = ends[job]
    for file in folder.rglob("*"):
        at = next((ends[place] for place in file.parents if place in ends), EARLIEST)
        os.utime(file, (at, at))
