"""An adapter from one layout to the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemmalocal.backends import convert_adapter
from gemmalocal.errors import RecipeError
from gemmalocal.files import targets
from gemmalocal.jobs.events import Event, Finished, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.background import in_background
from gemmalocal.weights.locate import locate


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """`spec`: source and target (folders), to (mlx-lm or peft), model (or None, if the adapter names it)."""
    source, target, to = Path(spec["source"]), targets.checked_target(spec["target"], targets.empty), spec["to"]
    if convert_adapter.is_mlx(source) == (to == "mlx-lm"):
        raise RecipeError(f"{source} is in that layout already.", "Use it as it is.")
    base = spec["model"] or _base(source)
    yield Stage(f"writing {target}")
    folder = yield from in_background(lambda tell: locate(base, tell, weights=False))
    model = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if to == "mlx-lm":
        convert_adapter.to_mlx(source, model, target)
    else:
        convert_adapter.to_peft(source, model, base, target)
    yield Report({"path": str(target), "model": base, "folder": str(folder)})
    yield Finished("done")


def _base(source: Path) -> str:
    """The model that an adapter's configuration names, in PEFT's words or mlx-lm's."""
    try:
        config = json.loads((source / convert_adapter.CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeError(f"{source} holds no adapter: {error}", "Give a run, or a folder with an adapter.") from error
    base = config.get("base_model_name_or_path") or config.get("model")
    if not base:
        raise RecipeError(f"{source} does not say which model it is for.", "Give --model.")
    return str(base)
