"""The result of a full fine-tune: the base model's folder with other weights in it."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from gemmalocal.errors import ModelError
from gemmalocal.files import atomic, manifest

WEIGHTS = "model.safetensors"
NOT_COPIED = (".safetensors", ".safetensors.index.json", ".gguf", ".bin", ".pth", ".pt")  # the base's own weights


def deliver(checkpoint: Path, base: Path, target: Path) -> None:
    """Copy configuration, tokenizer and licence of `base`, and the checkpoint's weights, to a folder `target`."""
    with atomic.new_folder(target) as aside:
        beside(base, aside)
        shutil.copyfile(checkpoint / WEIGHTS, aside / WEIGHTS)


def require_trainable(layers: Iterable[object], wrapped: bool) -> None:
    """Raise `ModelError` where a fully trained model of these `layers` could not be written as a model again."""
    if wrapped:
        raise ModelError("A multimodal model cannot be trained whole.", "Set method to lora or dora.")
    if any(hasattr(layer, "experts") for layer in layers):
        raise ModelError("A model with experts cannot be trained whole.", "Set method to lora or dora.")


def beside(base: Path, folder: Path, dropped: Collection[str] = ()) -> None:
    """Copy what belongs to a model beside its weights: configuration, tokenizer, template, licence."""
    for path in base.iterdir():
        if path.is_file() and not path.name.endswith(NOT_COPIED) and path.name not in (*dropped, manifest.MANIFEST):
            shutil.copyfile(path, folder / path.name)
