"""The result of a full fine-tune: the base model's folder with other weights in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from gemmalocal import atomic

WEIGHTS = "model.safetensors"
LEFT = (".safetensors", ".safetensors.index.json", ".gguf", ".bin", ".pth", ".pt")  # the base's own weights


def deliver(checkpoint: Path, base: Path, target: Path) -> None:
    """Copy configuration, tokenizer and licence of `base`, and the checkpoint's weights, to a folder `target`."""
    with atomic.new_folder(target) as aside:
        for path in base.iterdir():
            if path.is_file() and not path.name.endswith(LEFT):
                shutil.copyfile(path, aside / path.name)
        shutil.copyfile(checkpoint / WEIGHTS, aside / WEIGHTS)
