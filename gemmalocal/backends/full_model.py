"""The result of a full fine-tune: the base model's folder with other weights in it."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from gemmalocal.files import atomic, manifest

WEIGHTS = "model.safetensors"
LEFT = (".safetensors", ".safetensors.index.json", ".gguf", ".bin", ".pth", ".pt")  # the base's own weights


def deliver(checkpoint: Path, base: Path, target: Path) -> None:
    """Copy configuration, tokenizer and licence of `base`, and the checkpoint's weights, to a folder `target`."""
    with atomic.new_folder(target) as aside:
        beside(base, aside)
        shutil.copyfile(checkpoint / WEIGHTS, aside / WEIGHTS)


def beside(base: Path, folder: Path, dropped: Collection[str] = ()) -> None:
    """Copy what belongs to a model beside its weights: configuration, tokenizer, template, licence."""
    for path in base.iterdir():
        if path.is_file() and not path.name.endswith(LEFT) and path.name not in (*dropped, manifest.MANIFEST):
            shutil.copyfile(path, folder / path.name)
