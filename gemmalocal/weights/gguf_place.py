"""Where a GGUF file is on this disk: one that a person names, and the one that a model's folder was made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemmalocal.errors import GemmalocalError, ModelError
from gemmalocal.files import paths, safe_read
from gemmalocal.records import Tell
from gemmalocal.weights import gguf_file, inventory, locate

ABOUT = "provenance.json"
SUFFIX = re.compile(r"(.+): GGUF, dequantized to float32")  # what an import says of its file


def named(name: str) -> Path:
    """A path, the only model in a folder, or one of Ollama's by its name; raises `ModelError` for others."""
    path = dict(inventory.ollama()).get(name) or paths.expanded(name)
    if path.is_file():
        return path.resolve()
    if not path.is_dir():
        raise ModelError(f"There is no file {path}.", "GGUF files that are on this disk: gemmalocal models")
    files = sorted(file for file in path.glob("*.gguf") if not file.name.startswith("mmproj"))
    if len(files) == 1:
        return files[0].resolve()
    names = ", ".join(file.name for file in files)
    raise ModelError(f"{path} holds {len(files)} GGUF models.", f"Give one of: {names}." if names else "Give a file.")


def origin(folder: Path, tell: Tell) -> Path | None:
    """The file that a model's folder was imported from, if it is here and unchanged; the demo's is put together."""
    if folder == paths.models() / locate.DEMO:
        return locate.demo_file(tell)
    try:
        about = safe_read.json_object(folder / ABOUT)
    except GemmalocalError:
        return None
    return next((file for file in _candidates(about) if gguf_file.checksum(file, tell) == about.get("sha256")), None)


def _candidates(about: dict[str, Any]) -> Iterator[Path]:
    """The file at its old place, and those of its name where programs keep theirs."""
    if (old := Path(str(about.get("file", "")))).is_file():
        yield old
    if match := SUFFIX.fullmatch(str(about.get("source", ""))):
        yield from (model.path for model in inventory.on_this_disk() if model.path.name == match[1])
