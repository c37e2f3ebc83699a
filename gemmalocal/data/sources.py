"""Rows out of files, folders, Hub datasets and installed packages. A bad row is a `Rejected`, never an exception."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from importlib import resources, util
from pathlib import Path
from typing import Any

from gemmalocal.errors import DatasetError
from gemmalocal.records import Rejected

Row = tuple[str, dict[str, Any]]  # where it came from, its columns
SUFFIXES = (".jsonl", ".json", ".csv")
HELD_OUT_NAMES = ("valid", "validation", "test")


def rows(path: str) -> Iterator[Row | Rejected]:
    """Every row of `path`: a file, a folder, `hf:owner/name[:split]` or `package:module/file.json`.

    Raises `DatasetError` if there is nothing to read there.
    """
    if path.startswith("hf:"):
        return _hub(path.removeprefix("hf:"))
    if path.startswith("package:"):
        return _file(_resource(path.removeprefix("package:")))
    place = Path(path)
    if place.is_dir():
        return _folder(place)
    if not place.is_file():
        raise DatasetError(f"There are no rows at {path}: no such file.", "Check data.path in the recipe.")
    return _file(place)


def held_out_file(path: str) -> Path | None:
    """The file of held-out rows that a folder brings with it (valid.jsonl and the like), if it does."""
    if ":" in path or not Path(path).is_dir():
        return None
    files = (Path(path) / f"{name}{suffix}" for name in HELD_OUT_NAMES[:2] for suffix in SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def _folder(folder: Path) -> Iterator[Row | Rejected]:
    files = [file for file in sorted(folder.iterdir()) if file.suffix in SUFFIXES and file.stem not in HELD_OUT_NAMES]
    if not files:
        raise DatasetError(f"{folder} holds no rows.", f"Put {', '.join(SUFFIXES)} files into it.")
    for file in files:
        yield from _file(file)


def _resource(place: str) -> Path:
    module, _, inner = place.partition("/")
    if util.find_spec(module) is None:
        raise DatasetError(
            f"The package '{module}' that holds these rows is not installed.", "pip install 'gemmalocal[demo]'"
        )
    file = Path(str(resources.files(module).joinpath(inner)))
    if not file.is_file():
        raise DatasetError(f"The package '{module}' has no file '{inner}'.")
    return file


def _file(file: Path) -> Iterator[Row | Rejected]:
    readers = {".jsonl": _json_lines, ".json": _json, ".csv": _csv}
    if file.suffix not in readers:
        raise DatasetError(f"{file.name} is not of a kind that can be read.", f"Use one of {', '.join(SUFFIXES)}.")
    try:
        yield from readers[file.suffix](file)
    except UnicodeDecodeError as error:
        raise DatasetError(f"{file} is not UTF-8 text (byte {error.start}).", "Save it as UTF-8.") from error


def _row(source: str, value: Any) -> Row | Rejected:
    return (source, value) if isinstance(value, dict) else Rejected(source, "is not an object with named columns")


def _json_lines(file: Path) -> Iterator[Row | Rejected]:
    with file.open(encoding="utf-8-sig") as text:
        for number, line in enumerate(text, 1):
            source = f"{file.name}:{number}"
            if not line.strip():
                continue
            try:
                yield _row(source, json.loads(line))
            except ValueError as error:
                yield Rejected(source, f"is not JSON: {error}")


def _json(file: Path) -> Iterator[Row | Rejected]:
    try:
        tree = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DatasetError(f"{file}:{error.lineno}: this is not JSON: {error.msg}.", "Mend the file.") from error
    if isinstance(tree, dict):  # {"data": [...]} and its like
        tree = next((value for value in tree.values() if isinstance(value, list)), [tree])
    for number, value in enumerate(tree, 1):
        yield _row(f"{file.name}#{number}", value)


def _csv(file: Path) -> Iterator[Row | Rejected]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.DictReader(text)
        for row in reader:
            source = f"{file.name}:{reader.line_num}"
            if None in row or None in row.values():
                yield Rejected(source, f"has not the {len(reader.fieldnames or [])} columns that the header names")
            else:
                yield source, dict(row)


def _hub(place: str) -> Iterator[Row | Rejected]:
    name, _, split = place.partition(":")
    import datasets

    try:
        table = datasets.load_dataset(name, split=split or "train")
    except Exception as error:  # the library raises a dozen kinds; each means that the rows cannot be had
        hint = "Fetching needs a network and HF_HUB_OFFLINE unset; once fetched it works offline."
        raise DatasetError(f"The Hub dataset '{name}' cannot be had: {error}", hint) from error
    for number, row in enumerate(table, 1):
        yield f"{name}#{number}", dict(row)
