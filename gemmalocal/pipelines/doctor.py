"""What this machine has, measured where that is quick."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemmalocal.backends import BACKENDS, open_backend
from gemmalocal.errors import BackendUnavailable
from gemmalocal.jobs.events import Event, Finished, Report, Stage
from gemmalocal.pipelines import Commands


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Report on each engine that is installed."""
    engines: dict[str, Any] = {}
    for name in BACKENDS:
        yield Stage(f"asking {name}")
        try:
            engines[name] = open_backend(name).probe()
        except BackendUnavailable as error:
            engines[name] = {"missing": f"{error.message} {error.hint}"}
    yield Report({"engines": engines})
    yield Finished("done")
