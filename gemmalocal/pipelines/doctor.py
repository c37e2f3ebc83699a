"""What this machine has, measured where that is quick."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gemmalocal.backends import BACKENDS, open_backend
from gemmalocal.errors import BackendUnavailable
from gemmalocal.jobs.events import Event, Finished, Report, Stage


def run(spec: dict[str, Any], directory: Path, commands: Callable[[], list[dict[str, Any]]]) -> Iterator[Event]:
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
