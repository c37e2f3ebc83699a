"""What a report is of: the weights by their hashes, and the settings of the run, without a path of this machine."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gemmalocal import __version__
from gemmalocal.backends import full_model, peft_adapter
from gemmalocal.files.manifest import sha256
from gemmalocal.jobs import history
from gemmalocal.jobs.history import JobState
from gemmalocal.pipelines.shared.report_rows import AskedRow
from gemmalocal.recipe.schema import Recipe

CONTRACT = 1  # of report.json


def _highest_rate(recipe: Recipe, state: JobState) -> float | str:
    """The recipe's; where it leaves that open, what the run came to."""
    if (rate := recipe.train.learning_rate) != "auto":
        return rate
    known: float | None = state.plan.get("learning_rate")  # older runs do not say
    return known or max((step.learning_rate for step in state.steps), default=rate)


def about(run: Path, recipe: Recipe, rows: Sequence[AskedRow], identity: str) -> dict[str, Any]:
    """Settings and hashes; names of files and folders alone, since the rest is somebody's home."""
    state, result = history.read(run), history.result(run)
    weights = next(result / name for name in (peft_adapter.WEIGHTS, full_model.WEIGHTS) if (result / name).is_file())
    digest = hashlib.sha256()
    for row in rows:
        digest.update(row.example.ids.tobytes() + row.example.weights.tobytes())
    last = state.steps[-1] if state.steps else None
    settings: dict[str, Any] = {
        "model": Path(recipe.model).name if Path(recipe.model).is_absolute() else recipe.model,
        "rows": [Path(source.path).name if "/" in source.path else source.path for source in recipe.data.sources],
        "method": recipe.method,
        "quantize": recipe.quantize,
        "rank": None if recipe.method == "full" else recipe.lora.rank,
        "steps": last.step if last else 0,
        "learning_rate": _highest_rate(recipe, state),
        "rows_per_step": recipe.train.rows_per_step,
        "seed": recipe.train.seed,
        "engine": str(state.plan.get("engine", "")),
        "gemmalocal": __version__,
    }
    return {
        "contract": CONTRACT,
        "run": run.name,
        "at": time.strftime("%Y-%m-%d %H:%M"),
        "settings": settings,
        "hashes": {"result": sha256(weights), "held-out rows": digest.hexdigest(), "weights read": identity},
        "evaluations": [[evaluation.step, evaluation.loss] for evaluation in state.evaluations],
    }
