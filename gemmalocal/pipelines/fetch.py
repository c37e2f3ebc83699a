"""A Hub name to a folder in the Hub's cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemmalocal.jobs.events import Event, Finished, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.background import Stopped, in_background
from gemmalocal.weights import hub


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Download the model `spec["model"]`, or only its file `spec["gguf"]`; report where it is."""
    name = spec["model"]
    yield Stage(f"downloading {name}")
    try:
        path = yield from in_background(lambda tell: hub.fetch(name, tell, gguf=spec.get("gguf")), commands, final=True)
    except Stopped:
        yield Finished("stopped", "files that were finished are kept; the same command goes on")
        return
    yield Report({"model": name, "path": str(path)})
    yield Finished("done")
