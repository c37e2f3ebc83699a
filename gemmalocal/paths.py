"""Where things are kept. Asking creates nothing. `GEMMALOCAL_HOME` moves it all."""

from __future__ import annotations

import os
from pathlib import Path


def workspace() -> Path:
    """The folder that holds everything; the platform's data folder unless `GEMMALOCAL_HOME` says otherwise."""
    if home := os.environ.get("GEMMALOCAL_HOME"):
        return Path(home).expanduser().resolve()
    import platformdirs

    return Path(platformdirs.user_data_dir("gemmalocal", appauthor=False))


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


def errands() -> Path:
    """Short-lived job directories: checks, probes, benchmarks."""
    return workspace() / "errands"
