"""Which exports of a run may go out: those that kept the tune of what it made last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gemmalocal import history
from gemmalocal.errors import GemmalocalError, RecipeError
from gemmalocal.export.proof import REMEDIES
from gemmalocal.exports import MADE, PROOF


def find(run: Path, form: str) -> Path | None:
    """The folder of an export by its label (`gguf-Q8_0`) or the beginning of one (`gguf`); None if there is none.

    Raises `RecipeError` if several begin so, `GemmalocalError` if its proof failed or is older than what the run made.
    """
    made = {proof.parent.name: proof.parent for proof in (run / MADE).glob(f"[!.]*/{PROOF}")}
    fitting = [form] if form in made else sorted(label for label in made if label.startswith(f"{form}-"))
    if len(fitting) > 1:
        raise RecipeError(f"{run.name} has {' and '.join(fitting)}.", f"Name one whole: --form {fitting[0]}")
    if not fitting:
        return None
    folder = made[fitting[0]]
    proof: dict[str, Any] = json.loads((folder / PROOF).read_text(encoding="utf-8"))
    if not proof.get("passed"):
        raise GemmalocalError(
            f"The export {folder.name} of {run.name} lost the tune: its proof failed.",
            REMEDIES.get(folder.name.partition("-")[0], "Export it again."),
        )
    return None if _stale(run, folder) else folder


def missing(run: Path, form: str) -> RecipeError:
    """What to say where `find` found nothing."""
    made = sorted(proof.parent.name for proof in (run / MADE).glob(f"[!.]*/{PROOF}"))
    there = f" It has: {', '.join(made)}." if made else ""
    kind = form.partition("-")[0]
    return RecipeError(
        f"{run.name} has no export '{form}' of what it made last.{there}",
        f"Make it: gemmalocal export {run.name} --to {kind}",
    )


def _stale(run: Path, folder: Path) -> bool:
    """Whether the run was trained further since."""
    proved = (folder / PROOF).stat().st_mtime
    return any(file.stat().st_mtime > proved for file in history.result(run).glob("*"))
