"""The Gemma models that are on this disk already, wherever a program that people use has put them. No network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import paths, safe_read
from gemmalocal.planning import model_sizes
from gemmalocal.weights import gguf_gemma, gguf_peek

FOLDERS = "GEMMALOCAL_MODELS"  # more folders to look into, separated as in PATH
LONGEST = 4096  # bytes of a commit's name
MODEL_LAYER = "application/vnd.ollama.image.model"


@dataclass(frozen=True)
class LocalModel:
    """One model: `keeper` ("Hub cache") has it, `name` is what a recipe or `import` takes, `size` its weights' bytes.

    `path` is its folder, its GGUF file, or a damaged manifest of Ollama's; `config` is its config.json, empty for a
    GGUF file, which must be imported before it can be tuned. `damage` says why a model cannot be used.
    """

    name: str
    keeper: str
    path: Path
    size: int
    config: dict[str, Any] = field(default_factory=dict)
    damage: str = ""


def on_this_disk(folders: Iterable[Path] = ()) -> Iterator[LocalModel]:
    """The Gemmas in the workspace, `folders` and those of `GEMMALOCAL_MODELS`, the Hub's cache, LM Studio and Ollama.

    One that is damaged comes with its `damage`; what cannot be looked into is passed over.
    """
    yield from _in_folder(paths.models(), "workspace")
    named_folders = [paths.expanded(part) for part in os.environ.get(FOLDERS, "").split(os.pathsep) if part]
    for folder in (*folders, *named_folders):
        yield from _in_folder(folder, "folder")
    yield from hub_cache()
    for name in ("~/.lmstudio/models", "~/.cache/lm-studio/models"):
        yield from _in_folder(Path(os.path.expanduser(name)), "LM Studio")
    for name, blob in ollama():
        yield from _gguf(blob, name, "Ollama")
    for manifest in _manifests():
        try:
            safe_read.json_object(manifest)
        except GemmalocalError as error:
            yield LocalModel(f"{manifest.parent.name}:{manifest.name}", "Ollama", manifest, 0, damage=error.message)


def _in_folder(folder: Path, keeper: str) -> Iterator[LocalModel]:
    """Model folders and GGUF files at or below `folder`; what begins with a dot is half-made or not for us."""
    for path, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        model_folder = Path(path)
        if "config.json" in files and (model := _model_folder(model_folder, model_folder.name, keeper)):
            yield model if keeper == "workspace" else replace(model, name=str(model_folder))
        for name in sorted(files):
            if name.endswith(".gguf"):
                yield from _gguf(model_folder / name, str(model_folder / name), keeper)


def _gguf(file: Path, name: str, keeper: str) -> Iterator[LocalModel]:
    """A GGUF file, if it holds a Gemma that can be imported."""
    if gguf_peek.architecture(file) in gguf_gemma.ARCHITECTURES:
        yield LocalModel(name, keeper, file, _bytes(file))


def _model_folder(folder: Path, name: str, keeper: str) -> LocalModel | None:
    """A folder with a Gemma's config.json and its safetensors; None for another model, or one without weights."""
    size = sum(_bytes(file) for file in safe_read.entries(folder) if file.suffix == ".safetensors")
    try:
        config = safe_read.json_object(folder / "config.json")
    except GemmalocalError as error:  # of weights that we know nothing of, only ours, and what is called so
        is_ours = size and (keeper == "workspace" or "gemma" in name.lower())
        return LocalModel(name, keeper, folder, size, damage=error.message) if is_ours else None
    if not str(config.get("model_type", "")).startswith("gemma") or not size:
        return None
    problem = model_sizes.impossible_size(config)
    damage = f"{folder / 'config.json'} is damaged: {problem}." if problem else ""
    return LocalModel(name, keeper, folder, size, config, damage)


def _bytes(file: Path) -> int:
    """Of a file; 0 where there is none that can be seen."""
    try:
        return file.stat().st_size if file.is_file() else 0
    except OSError:
        return 0


def hub_cache() -> Iterator[LocalModel]:
    """The Gemmas in the Hub's cache, by its paths: models--owner--name/snapshots/COMMIT.

    The commit that `main` points at has the model's name, others have their folder's path.
    """
    from huggingface_hub import constants

    for repository in safe_read.entries(Path(constants.HF_HUB_CACHE)):
        if not repository.name.startswith("models--"):
            continue
        name = repository.name.removeprefix("models--").replace("--", "/", 1)
        commit = _commit(repository / "refs" / "main")
        for folder in safe_read.entries(repository / "snapshots"):
            # Only the commit that main points at is found by the model's name.
            if model := _model_folder(folder, name if folder.name == commit else str(folder), "Hub cache"):
                yield model
            for file in safe_read.entries(folder):
                if file.suffix == ".gguf":
                    yield from _gguf(file, str(file), "Hub cache")


def _commit(main: Path) -> str | None:
    try:
        with safe_read.regular(main) as file:
            return file.read(LONGEST).decode("utf-8", "replace").strip()
    except OSError:
        return None


def ollama() -> Iterator[tuple[str, Path]]:
    """Names (`gemma3:1b`) and GGUF blobs of Ollama's models that are whole, by its manifests; of other makers' too."""
    for manifest in _manifests():
        try:
            layers = safe_read.json_object(manifest)["layers"]
            digests = [layer["digest"] for layer in layers if layer["mediaType"] == MODEL_LAYER]
        except (GemmalocalError, KeyError, TypeError):
            continue
        for digest in digests:
            blob = _ollama() / "blobs" / str(digest).replace(":", "-")
            if safe_read.is_file(blob):
                yield f"{manifest.parent.name}:{manifest.name}", blob


def _manifests() -> Iterator[Path]:
    """manifests/HOST/OWNER/MODEL/TAG"""
    folders = [_ollama() / "manifests"]
    for _ in range(4):
        folders = [entry for folder in folders for entry in safe_read.entries(folder)]
    yield from folders


def _ollama() -> Path:
    return Path(os.path.expanduser(os.environ.get("OLLAMA_MODELS") or "~/.ollama/models"))
