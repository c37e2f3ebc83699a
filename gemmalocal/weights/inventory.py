"""The Gemma models that are on this disk already, wherever a program that people use has put them. No network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gemmalocal import paths
from gemmalocal.weights import gguf_gemma, gguf_peek

FOLDERS = "GEMMALOCAL_MODELS"  # more folders to look into, separated as in PATH
MODEL_LAYER = "application/vnd.ollama.image.model"


@dataclass(frozen=True)
class Found:
    """One model: `place` is who keeps it, `name` what a recipe or `import` takes, `size` the bytes of its weights.

    `config` is its config.json; a GGUF file has none and must be imported before it can be tuned.
    """

    name: str
    place: str
    path: Path
    size: int
    config: dict[str, Any] = field(default_factory=dict)


def on_this_disk(folders: Iterable[Path] = ()) -> Iterator[Found]:
    """Workspace, `folders` and those of `GEMMALOCAL_MODELS`, the Hub's cache, LM Studio, Ollama."""
    yield from _in_folder(paths.models(), "workspace")
    named = [Path(part).expanduser() for part in os.environ.get(FOLDERS, "").split(os.pathsep) if part]
    for folder in (*folders, *named):
        yield from _in_folder(folder, "folder")
    yield from hub_cache()
    for folder in (Path.home() / ".lmstudio" / "models", Path.home() / ".cache" / "lm-studio" / "models"):
        yield from _in_folder(folder, "LM Studio")
    for name, blob in ollama():
        yield from _gguf(blob, name, "Ollama")


def _in_folder(folder: Path, place: str) -> Iterator[Found]:
    """Model folders and GGUF files at or below `folder`; what begins with a dot is half-made or not for us."""
    for path, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        here = Path(path)
        if "config.json" in files and (found := _model_folder(here, here.name, place)):
            yield found if place == "workspace" else Found(str(here), place, here, found.size, found.config)
        for name in sorted(files):
            if name.endswith(".gguf"):
                yield from _gguf(here / name, str(here / name), place)


def _gguf(file: Path, name: str, place: str) -> Iterator[Found]:
    """A GGUF file, if it holds a Gemma that can be imported."""
    if gguf_peek.architecture(file) in gguf_gemma.ARCHITECTURES:
        yield Found(name, place, file, file.stat().st_size)


def _model_folder(folder: Path, name: str, place: str) -> Found | None:
    """A folder with a Gemma's config.json and its safetensors; None for another model, or one without weights."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        family = str(config.get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return None
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors") if file.is_file())
    if not family.startswith("gemma") or not size:
        return None
    return Found(name, place, folder, size, config)


def hub_cache() -> Iterator[Found]:
    """The Hub's cache, by paths: models--owner--name/snapshots/COMMIT."""
    from huggingface_hub import constants

    for repository in sorted(Path(constants.HF_HUB_CACHE).glob("models--*--*")):
        name = repository.name.removeprefix("models--").replace("--", "/", 1)
        main = repository / "refs" / "main"
        commit = main.read_text(encoding="utf-8").strip() if main.is_file() else None
        for folder in sorted((repository / "snapshots").glob("*")):
            # Only the commit that main points at is found by the model's name.
            if found := _model_folder(folder, name if folder.name == commit else str(folder), "Hub cache"):
                yield found
            for file in sorted(folder.glob("*.gguf")):
                yield from _gguf(file, str(file), "Hub cache")


def ollama() -> Iterator[tuple[str, Path]]:
    """Names and GGUF blobs of Ollama's models, by its manifests."""
    root = Path(os.environ.get("OLLAMA_MODELS") or Path.home() / ".ollama" / "models").expanduser()
    for manifest in sorted((root / "manifests").glob("*/*/*/*")):
        try:
            layers = json.loads(manifest.read_text(encoding="utf-8"))["layers"]
            digests = [layer["digest"] for layer in layers if layer["mediaType"] == MODEL_LAYER]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for digest in digests:
            blob = root / "blobs" / str(digest).replace(":", "-")
            if blob.is_file():
                yield f"{manifest.parent.name}:{manifest.name}", blob
