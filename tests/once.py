"""What is made once in a whole run of the tests, by whichever of its processes needs it first; all only read it."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def shared(config: pytest.Config, factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of the run, also where pytest-xdist gives each process one of its own in there."""
    base = factory.getbasetemp()
    return base.parent if hasattr(config, "workerinput") else base


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, filled by `make` unless it is there; who comes meanwhile waits. What fails is made anew."""
    with folder.with_name(f"{folder.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            aside = folder.with_name(f"{folder.name}.new")
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            make(aside)
            aside.rename(folder)
    return folder
