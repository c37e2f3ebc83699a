"""Which documents a person means: files, folders, globs and addresses, in a settled order."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from gemmalocal.files import paths


def find_documents(sources: Sequence[str]) -> list[str]:
    """The documents that `sources` name, each once, as `read` takes them.

    Of folders every file, however deep, in order of its path. Hidden files, and those in hidden folders or in folders
    of our own jobs (a dataset may lie beside its sources), are left out unless they are named. What is not there, or
    not of a kind that is read, stays in the list: `read` says why.
    """
    return list(dict.fromkeys(document for source in sources for document in _named(source)))


def printable(source: str) -> str:
    """A source as it is told and kept: a file's name may hold bytes that are no text."""
    return source.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _named(source: str) -> Iterator[str]:
    path = paths.expanded(source)
    if path.is_dir():
        yield from map(str, sorted(_below(path)))
    elif not path.exists() and glob.has_magic(source):
        matches = sorted(glob.glob(str(path), recursive=True), key=len, reverse=True)
        # By the shortest path: a link may lead in a circle.
        by_target = {os.path.realpath(match): match for match in matches}
        for match in sorted(by_target.values()):
            yield from _named(match)
        if not matches:
            yield source
    else:
        yield str(path) if path.exists() else source


def _below(folder: Path) -> Iterator[Path]:
    try:
        inside = list(folder.iterdir())
    except OSError:
        yield folder  # `read` says why
        return
    for path in inside:
        if path.name.startswith(".") or path.name == "__MACOSX":
            continue
        if path.is_dir():
            if not path.is_symlink() and not _is_job(path):  # a link to a folder may lead in a circle
                yield from _below(path)
        else:
            yield path


def _is_job(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("job.json", "events.jsonl"))
