"""What of a folder is rows, and on which side: by the names of its files, as people and the Hub call them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gemmalocal.documents import packed, row_readers, splits

PREPARED = ("train.jsonl", "held_out.jsonl")  # a folder that holds both is a dataset: nothing else in it is rows
DATA = "data"  # where a clone of a Hub dataset has its files
SAVED, SPLITS = "state.json", "dataset_dict.json"  # what `datasets` writes beside its .arrow files, and above them
NOT_ROWS = {  # what folders of rows are described by, in text; also with more behind: readme.ja, requirements-dev
    *("readme", "license", "licence", "copying", "changelog", "requirements", "citation"),
}
NOT_ROWS_ALONE = {
    *("changes", "notice", "contributing", "authors", "contributors", "security", "install", "constraints", "todo"),
    *("cmakelists", "robots", "code_of_conduct", "version", "manifest", "copyright", "credits", "disclaimer", "terms"),
    *("dataset_card", "datacard"),
}
NOT_ROWS_JSON = {  # and in JSON
    *("dataset_info", "dataset_infos", "dataset_dict", "state", "package", "package-lock", "tsconfig", "croissant"),
    *("config", "tokenizer", "tokenizer_config", "special_tokens_map", "generation_config", "metadata", "manifest"),
}
TEXTS = (".txt", ".md")
DEEP = 3  # folders in each other that are looked into
LISTED = 8  # names in a sentence


@dataclass
class Holding:
    """The files of each side in order, and the names of what is not read; `ours`: the folder was prepared here."""

    sides: dict[str, list[Path]]
    unread: list[str] = field(default_factory=list)
    ours: bool = False


def scan(folder: Path, depth: int = 0) -> Holding:
    """What a folder holds: its files, or if none of them is rows, those in data/ or in folders named as splits."""
    if all((folder / name).is_file() for name in PREPARED):
        return Holding(_sides([folder / PREPARED[0]], [folder / PREPARED[1]]), ours=True)
    if (saved := _saved(folder)) is not None:
        return saved
    inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    files = [path for path in inside if path.is_file() and _is_rows(path)]
    below = [path for path in inside if path.is_dir()]
    unread = [path.name for path in inside if path.is_file() and path not in files]
    if files:
        return Holding(by_side(files), unread + [f"{path.name}/" for path in below])
    deeper = [path for path in below if path.name.lower() == DATA or splits.side_of(path.name)] if depth < DEEP else []
    unread += [f"{path.name}/" for path in below if path not in deeper]
    return _joined(deeper, unread, depth + 1)


def _joined(below: Sequence[Path], unread: list[str], depth: int) -> Holding:
    """The holdings of folders as one; a folder that is named as a split is one."""
    joined = Holding(_sides())
    for folder in below:
        holding = scan(folder, depth)
        side = splits.side_of(folder.name)
        for own, files in holding.sides.items():
            joined.sides[side if side and own == splits.TRAIN else own] += files
        joined.unread += [f"{folder.name}/{name}" for name in holding.unread]
    joined.sides = _never_test_alone(joined.sides)
    joined.unread = unread + joined.unread
    return joined


def by_side(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Files by side; those of no known name are trained on, and so are all if there would be nothing else."""
    sides = _sides()
    for file in files:
        sides[splits.side_of(_stem(file)) or splits.TRAIN].append(file)
    return _never_test_alone(sides)


def _never_test_alone(sides: dict[str, list[Path]]) -> dict[str, list[Path]]:
    if sides[splits.TRAIN]:
        return sides
    train = sides[splits.TEST] or sides[splits.HELD_OUT]
    held_out = sides[splits.HELD_OUT] if sides[splits.TEST] else []
    return _sides(train, held_out)


def _sides(train: Sequence[Path] = (), held_out: Sequence[Path] = ()) -> dict[str, list[Path]]:
    return {splits.TRAIN: list(train), splits.HELD_OUT: list(held_out), splits.TEST: []}


def _saved(folder: Path) -> Holding | None:
    """What `save_to_disk` of `datasets` left: the files that it names, in its order, or those of each split."""
    if (folder / SPLITS).is_file():
        names = _json(folder / SPLITS).get("splits")
        below = [folder / str(name) for name in names] if isinstance(names, list) else []
        return _joined([split for split in below if split.is_dir() and split.parent == folder], [], DEEP)
    listed_files = _json(folder / SAVED).get("_data_files") if (folder / SAVED).is_file() else None
    if not isinstance(listed_files, list):
        return None
    names = [str(entry.get("filename")) for entry in listed_files if isinstance(entry, dict)]
    files = [folder / name for name in names if Path(name).name == name and (folder / name).is_file()]
    return Holding(_sides(files)) if files else None


def _json(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def suffix(file: Path) -> str:
    """The kind of a file by its name, out of its .gz."""
    return Path(packed.plain_name(file)).suffix.lower()


def _stem(file: Path) -> str:
    return Path(packed.plain_name(file)).stem


def _is_rows(file: Path) -> bool:
    """Whether a file in a folder is rows; what only describes them is not."""
    kind, stem = suffix(file), _stem(file).lower()
    if kind in TEXTS:
        return stem not in NOT_ROWS_ALONE and re.split(r"[._-]", stem)[0] not in NOT_ROWS
    return kind in row_readers.READERS and not (kind == ".json" and stem in NOT_ROWS_JSON)


def names_in_short(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = len(names) - LISTED
    return f"{', '.join(names[:LISTED])}{f' and {more} more' if more > 0 else ''}"
