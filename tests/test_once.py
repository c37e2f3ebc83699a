"""What several processes of a run share is made by one of them, whole."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.once import made_once


def test_one_makes_it_and_the_others_wait(tmp_path: Path) -> None:
    """Threads stand for processes: each has opened the lock for itself."""
    makers: list[Path] = []

    def make(folder: Path) -> None:
        makers.append(folder)
        (folder / "first").touch()
        time.sleep(0.1)
        (folder / "last").touch()

    def names(_: int) -> list[str]:
        return sorted(path.name for path in made_once(tmp_path / "x", make).iterdir())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(names, range(4))) == [["first", "last"]] * 4
    assert len(makers) == 1


def test_what_fails_is_not_there_and_is_made_anew(tmp_path: Path) -> None:
    def half(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        made_once(tmp_path / "x", half)
    assert not (tmp_path / "x").exists()
    again = made_once(tmp_path / "x", lambda folder: (folder / "whole").touch())
    assert [path.name for path in again.iterdir()] == ["whole"]
