"""A report's figures, by the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gemmalocal.workspace import reports
from tests import here


def reported(run: Path, *words: str) -> dict[str, Any]:
    """The figures of a report."""
    done = here.run("report", run.name, "--json", *words)
    assert done.returncode in (0, reports.HURTS), done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
