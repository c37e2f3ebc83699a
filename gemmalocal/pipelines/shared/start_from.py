"""A training that starts from what another one has learned."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

from gemmalocal.backends import convert_adapter, peft_adapter
from gemmalocal.backends.protocol import Trainer
from gemmalocal.engine import checkpoints
from gemmalocal.errors import RecipeError
from gemmalocal.files import paths
from gemmalocal.jobs import history
from gemmalocal.recipe.schema import Recipe
from gemmalocal.weights.agree import TensorShapes


def load_adapter(trainer: Trainer, recipe: Recipe, base: Path) -> str:
    """Load the adapter that a recipe's `start_from` names into its trainer, before the first step; what to tell.

    `base` is the folder of the model. Raises `RecipeError` for an adapter of another shape or scale, `ModelError` and
    `UnknownRun` where there is none.
    """
    assert recipe.start_from is not None
    folder = adapter_folder(recipe.start_from)
    with tempfile.TemporaryDirectory() as scratch:
        readable = folder
        if convert_adapter.is_mlx(folder):
            readable = Path(scratch) / "peft"
            model = json.loads((base / "config.json").read_text(encoding="utf-8"))
            convert_adapter.to_peft(folder, model, recipe.model, readable)
        _load(trainer, recipe, folder, readable)
    return f"training starts from the adapter in {folder}"


def _load(trainer: Trainer, recipe: Recipe, folder: Path, readable: Path) -> None:
    """Load the adapter of `folder`, of which `readable` is PEFT's layout, if it fits."""
    _, config = peft_adapter.load(readable, peft_adapter.WEIGHTS)
    with tempfile.TemporaryDirectory() as scratch:
        trainer.save(Path(scratch))
        own_shapes = _shapes(Path(scratch) / peft_adapter.WEIGHTS)
    if (adapter_shapes := _shapes(readable / peft_adapter.WEIGHTS)) != own_shapes:
        tensor = next(iter(sorted(adapter_shapes.keys() ^ own_shapes.keys())), "") or next(
            name for name in own_shapes if own_shapes[name] != adapter_shapes[name]
        )
        raise RecipeError(
            f"start_from: the adapter in {folder} is of another shape than this recipe's: {tensor} is "
            f"{_shape_text(adapter_shapes.get(tensor))} there, {_shape_text(own_shapes.get(tensor))} here.",
            f"Set lora.rank to {config.get('r')}, and lora.target_modules, lora.layers, method and model as they were.",
        )
    scale = recipe.lora.alpha / recipe.lora.rank
    if abs(peft_adapter.scale(config, recipe.lora.rank) - scale) > 1e-6 * scale:
        raise RecipeError(
            f"start_from: the adapter in {folder} has lora.alpha {config['lora_alpha']}.", "Set lora.alpha to the same."
        )
    trainer.load(readable)


def adapter_folder(name: str) -> Path:
    """The folder of an adapter: its own path, that of a run's result by the run's name, or of a step by RUN@STEP."""
    folder = paths.expanded(name)
    if (folder / peft_adapter.CONFIG).is_file():
        return folder
    run_name, _, step = name.rpartition("@")
    if run_name and step.isdecimal():
        return _checkpoint(history.find_run(run_name), int(step))
    run = history.find_run(name)
    if not (run / "adapter" / peft_adapter.CONFIG).is_file():
        has_model = (run / "model").is_dir()
        raise RecipeError(
            f"start_from: {run.name} has made {'a whole model' if has_model else 'no adapter yet'}.",
            f"Give it as the model: {run / 'model'}" if has_model else "Train it first.",
        )
    return run / "adapter"


def _checkpoint(run: Path, step: int) -> Path:
    """The folder of a run's checkpoint, whole, with an adapter; raises `RecipeError` and `ModelError`."""
    folder = run / "checkpoints"
    path = checkpoints.path_of(folder, step)
    if not path.is_dir():
        kept = ", ".join(str(int(existing.name)) for existing in checkpoints.existing(folder)) or "none"
        raise RecipeError(f"start_from: {run.name} has no checkpoint of step {step}.", f"Kept are those of: {kept}.")
    if not (path / peft_adapter.CONFIG).is_file():
        raise RecipeError(f"start_from: step {step} of {run.name} is a whole model, no adapter.", "Name another run.")
    return checkpoints.checked(path)


def _shapes(file: Path) -> TensorShapes:
    try:
        with safe_open(file, "numpy") as stored:
            return {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RecipeError(f"start_from: {file} cannot be read: {error}.", "Name another run or adapter.") from error


def _shape_text(shape: tuple[int, ...] | None) -> str:
    return " x ".join(map(str, shape)) if shape else "not"
