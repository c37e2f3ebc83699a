"""Where things are kept. Asking creates nothing. `GEMMALOCAL_HOME` moves it all."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from gemmalocal.errors import GemmalocalError
from gemmalocal.files.system_errors import NO_HOME


def workspace() -> Path:
    """The folder that holds everything; the platform's data folder unless `GEMMALOCAL_HOME` says otherwise.

    Raises `GemmalocalError` for a user who has no home.
    """
    if home := os.environ.get("GEMMALOCAL_HOME"):
        folder = expanded(home)
        if str(folder).startswith("~"):
            raise GemmalocalError(*NO_HOME)
        return folder.resolve()
    import platformdirs

    folder = Path(platformdirs.user_data_dir("gemmalocal", appauthor=False))
    if not folder.is_absolute():  # ~ stands for nothing
        raise GemmalocalError(*NO_HOME)
    return folder


def expanded(text: str | Path) -> Path:
    """A path as a person gives it, with ~ for a home folder; of one that is not known, the ~ stays."""
    return Path(os.path.expanduser(text))


def shortened(path: Path) -> str:
    """A path to be read, with ~ for the user's own folder."""
    home = expanded("~")  # stays as it is where nobody knows it
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) and path != home else str(path)


def names_something(source: str) -> bool:
    """Whether a path, or a glob, names anything on this disk; True too where we may not look."""
    path = str(expanded(source))
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return glob.has_magic(path) and next(glob.iglob(path, recursive=True), None) is not None
    except OSError:  # who opens it says why
        pass
    return True


def runs() -> Path:
    """Training runs, one folder each."""
    return workspace() / "runs"


def datasets() -> Path:
    """Datasets that were prepared, one folder each."""
    return workspace() / "datasets"


def models() -> Path:
    """Weights made here (dequantized), one folder each."""
    return workspace() / "models"


def chats() -> Path:
    """Conversations with their transcripts, one folder each."""
    return workspace() / "chats"


def trash() -> Path:
    """Runs and datasets that were deleted; see `gemmalocal.workspace.trash`."""
    return workspace() / "trash"


def teachers() -> Path:
    """What teachers said of rows, one folder for each teacher."""
    return workspace() / "teachers"


def errands() -> Path:
    """Short-lived job directories: checks, probes, benchmarks."""
    return workspace() / "errands"
