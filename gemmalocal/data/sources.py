"""Where rows are (files, folders, Hub datasets, installed packages), as things to be read one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources, util
from pathlib import Path

from gemmalocal.documents import hub, rows
from gemmalocal.documents.document import Unreadable
from gemmalocal.documents.rows import At, Rows
from gemmalocal.errors import DatasetError

HELD_OUT_NAMES = ("valid", "validation", "held_out")
PREPARED = ("train.jsonl", "held_out.jsonl")  # a folder that holds both is a dataset: nothing else in it is rows
NOT_ROWS = ("readme", "license", "licence", "changelog", "notice")  # what folders of rows are described by


@dataclass(frozen=True)
class Source:
    """`size` is in bytes (of a Hub dataset: rows), and so is what `read` tells of its progress."""

    size: int
    read: Callable[[At], Rows]


def find(path: str) -> list[Source]:
    """The sources at `path`: a file, a folder, `hf:owner/name[:split]` or `package:module/file.json`.

    Raises `DatasetError` if there is nothing to read there.
    """
    if path.startswith(hub.PREFIX):
        return [_hub(path)]
    place = _resource(path.removeprefix("package:")) if path.startswith("package:") else Path(path)
    if place.is_dir():
        return _folder(place)
    if not place.is_file():
        raise DatasetError(f"There are no rows at {path}: no such file.", "Check data.path in the recipe.")
    return [_file(place)]


def held_out(path: str) -> list[Source]:
    """The file of held-out rows that a folder brings with it (valid.jsonl and the like), if it does."""
    if ":" in path or not Path(path).is_dir():
        return []
    files = (Path(path) / f"{name}{suffix}" for name in HELD_OUT_NAMES for suffix in rows.READERS)
    return [_file(file) for file in files if file.is_file()][:1]


def _folder(folder: Path) -> list[Source]:
    if all((folder / name).is_file() for name in PREPARED):
        return [_file(folder / PREPARED[0])]
    files = [
        file
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in rows.READERS
        and file.stem.lower() not in (*HELD_OUT_NAMES, "test", *NOT_ROWS)
        and not file.name.startswith(".")
        and file.is_file()
    ]
    if not files:
        raise DatasetError(f"{folder} holds no rows.", f"Put {', '.join(rows.READERS)} files into it.")
    return [_file(file) for file in files]


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


def _file(file: Path) -> Source:
    if file.suffix.lower() not in rows.READERS:
        raise DatasetError(f"{file.name} is not of a kind that can be read.", f"Use {', '.join(rows.READERS)}.")
    return Source(file.stat().st_size, partial(rows.read, file))


def _hub(place: str) -> Source:
    try:
        name, table = hub.load(place)
    except Unreadable as problem:
        raise DatasetError(f"The Hub dataset '{place.removeprefix(hub.PREFIX)}' {problem}.", problem.hint) from problem

    def read(at: At) -> Rows:
        for number, row in enumerate(table, 1):
            at(number)
            yield f"{name}#{number}", dict(row)

    return Source(len(table), read)
