"""Which exports of a run may go out: those that kept the tune of what it made last."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from gemmalocal.errors import GemmalocalError, ModelError, RecipeError
from gemmalocal.export.proof import remedy
from gemmalocal.files import manifest
from gemmalocal.jobs import history
from gemmalocal.weights import gguf_header, safe_header
from gemmalocal.workspace import exports
from gemmalocal.workspace.exports import MADE, PROOF


def find(run: Path, form: str, failed: bool = False) -> Path | None:
    """The folder of an export by its label (`gguf-Q8_0`) or the beginning of one (`gguf`); None if there is none.

    Raises `RecipeError` if several begin so, `GemmalocalError` if it is not as it was written, or if its proof failed,
    unless a `failed` one is wanted too.
    """
    exports.settle(run)
    label = exports.whole_label(run, form)
    if label is None:
        return None
    folder = run / MADE / label
    proof: Any = None
    with suppress(OSError, ValueError, RecursionError):
        proof = json.loads((folder / PROOF).read_text(encoding="utf-8"))
    if not isinstance(proof, dict):
        raise _not_whole(run, folder, f"{PROOF} cannot be read")
    if proof.get("passed") is not True and not failed:
        raise GemmalocalError(
            f"The export {folder.name} of {run.name} lost what was learned: its proof failed.",
            remedy(folder.name),
        )
    if _stale(run, folder):
        return None
    recorded = manifest.read(folder)
    if problem := exports.harm(folder) or (manifest.damage(folder, recorded) if recorded else _cut(folder)):
        raise _not_whole(run, folder, problem)
    return folder


def _cut(folder: Path) -> str | None:
    """Why the weights of an export of an older version, which has no manifest, are not whole: their headers tell."""
    readers = {"*.safetensors": safe_header.read, "*.gguf": gguf_header.check}
    for pattern, read in readers.items():
        for file in sorted(folder.glob(pattern)):
            try:
                read(file)
            except ModelError as error:
                return error.message.rstrip(".")
    return None


def _not_whole(run: Path, folder: Path, problem: str) -> GemmalocalError:
    return GemmalocalError(
        f"The export {folder.name} of {run.name} is not whole: {problem}.",
        f"Make it again: gemmalocal export {run.name} --to {exports.name_of(folder.name)}",
    )


def missing(run: Path, form: str) -> RecipeError:
    """What to say where `find` found nothing."""
    exported = exports.labels(run)
    existing = f" It has: {', '.join(exported)}." if exported else ""
    return RecipeError(
        f"{run.name} has no export '{form}' of what it made last.{existing}",
        f"Make it: gemmalocal export {run.name} --to {exports.name_of(form)}",
    )


def _stale(run: Path, folder: Path) -> bool:
    """Whether the run was trained further since."""
    proved = (folder / PROOF).stat().st_mtime
    return any(file.stat().st_mtime > proved for file in history.result(run).glob("*"))
