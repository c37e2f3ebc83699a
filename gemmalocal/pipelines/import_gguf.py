"""A GGUF file to a trainable folder in the workspace, under a name that recipes can use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemmalocal.jobs.events import Event, Finished, Notice, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.background import Stopped, in_background
from gemmalocal.records import Tell
from gemmalocal.weights import gguf_file, gguf_header, gguf_place, inventory
from gemmalocal.workspace import model_names


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Dequantize `spec["file"]` (a file, its folder, or Ollama's name of it) as `spec["name"]`, which may be None."""
    source = gguf_place.named(spec["file"])
    name = spec.get("name") or _name(source)
    target = model_names.free(name)
    target.parent.mkdir(parents=True, exist_ok=True)

    def work(tell: Tell) -> Path:
        gguf_header.check(source)
        provenance = {
            "source": f"{source.name}: GGUF, dequantized to float32",
            "file": str(source),
            "sha256": gguf_file.checksum(source, tell),
        }
        return gguf_file.to_folder(source, target, tell, provenance)

    yield Stage(f"importing {source.name} as {name}")
    try:
        yield from in_background(work, commands, final=True)
    except Stopped:
        yield Finished("stopped", "nothing was kept")
        return
    provenance = json.loads((target / "provenance.json").read_text(encoding="utf-8"))
    if "left_out" in provenance:
        yield Notice(f"left out, since the text model alone is tuned: {provenance['left_out']}")
    yield Report({"model": name, "path": str(target), "licence": provenance["licence"]})
    yield Finished("done")


def _name(source: Path) -> str:
    """A name for recipes: Ollama's own for one of its blobs, else the file's."""
    model_name = next((name for name, blob in inventory.ollama() if blob.resolve() == source), source.stem)
    return model_names.proposed(model_name)
