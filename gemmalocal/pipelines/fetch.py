"""A model's name to a folder on this disk: a Hub name to one in its cache, the demo's to what its package holds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from gemmalocal.files import paths
from gemmalocal.jobs.events import Event, Finished, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.background import Stopped, in_background
from gemmalocal.weights import hub
from gemmalocal.weights.locate import locate


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Bring the model `spec["model"]` here, or only its file `spec["gguf"]`; report where it is."""
    name, gguf = spec["model"], spec.get("gguf")
    # What has a Hub name is asked of the Hub also where it is cached: its newest version is wanted.
    is_here = gguf is None and ("/" not in name or paths.expanded(name).is_dir())
    bring = partial(locate, name) if is_here else partial(hub.fetch, name, gguf=gguf)
    yield Stage(f"{'finding' if is_here else 'downloading'} {name}")
    try:
        path = yield from in_background(bring, commands, final=True)
    except Stopped:
        yield Finished("stopped", "files that were finished are kept; the same command goes on")
        return
    yield Report({"model": name, "path": str(path)})
    yield Finished("done")
