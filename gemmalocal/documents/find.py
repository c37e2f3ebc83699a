"""Which documents a person means: files, folders, globs and addresses, in a settled order."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from gemmalocal.files import paths


def find(sources: Sequence[str]) -> list[str]:
    """The documents that `sources` name, each once, as `read` takes them.

    Of folders every file, however deep, in order of its path. Hidden files, and those in hidden folders or in folders
    of our own jobs (a dataset may lie beside its sources), are left out unless they are named. What is not there, or
    not of a kind that is read, stays in the list: `read` says why.
    """
    return list(dict.fromkeys(found for source in sources for found in _named(source)))


def shown(source: str) -> str:
    """A source as it is told and kept: a file's name may hold bytes that are no text."""
    return source.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _named(source: str) -> Iterator[str]:
    place = paths.expanded(source)
    if place.is_dir():
        yield from map(str, sorted(_below(place)))
    elif not place.exists() and glob.has_magic(source):
        found = sorted(glob.glob(str(place), recursive=True), key=len, reverse=True)
        once = {os.path.realpath(match): match for match in found}  # by the shortest path: a link may lead in a circle
        for match in sorted(once.values()):
            yield from _named(match)
        if not found:
            yield source
    else:
        yield str(place) if place.exists() else source


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
