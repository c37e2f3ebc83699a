"""A training that starts from what another one has learned."""

from __future__ import annotations

import tempfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

from gemmalocal.backends import peft_adapter
from gemmalocal.backends.protocol import Trainer
from gemmalocal.errors import RecipeError
from gemmalocal.files import paths
from gemmalocal.jobs import history
from gemmalocal.recipe.schema import Recipe
from gemmalocal.weights.agree import TensorShapes


def take(trainer: Trainer, recipe: Recipe) -> str:
    """Take up the adapter that a recipe names, before the first step; what to tell. Raises `GemmalocalError`."""
    assert recipe.start_from is not None
    folder = _adapter(recipe.start_from)
    _, config = peft_adapter.load(folder, peft_adapter.WEIGHTS)
    with tempfile.TemporaryDirectory() as place:
        trainer.save(Path(place))
        ours = _shapes(Path(place) / peft_adapter.WEIGHTS)
    if (theirs := _shapes(folder / peft_adapter.WEIGHTS)) != ours:
        odd = next(iter(sorted(theirs.keys() ^ ours.keys())), "") or next(
            name for name in ours if ours[name] != theirs[name]
        )
        raise RecipeError(
            f"start_from: the adapter in {folder} is of another shape than this recipe's: {odd} is "
            f"{_said(theirs.get(odd))} there, {_said(ours.get(odd))} here.",
            f"Set lora.rank to {config.get('r')}, and lora.target_modules, lora.layers, method and model as they were.",
        )
    scale = recipe.lora.alpha / recipe.lora.rank
    if abs(peft_adapter.scale(config, recipe.lora.rank) - scale) > 1e-6 * scale:
        raise RecipeError(
            f"start_from: the adapter in {folder} has lora.alpha {config['lora_alpha']}.", "Set lora.alpha to the same."
        )
    trainer.load(folder)
    return f"training starts from the adapter in {folder}"


def _adapter(name: str) -> Path:
    """The folder of an adapter, by a run's name or its own path."""
    folder = paths.expanded(name)
    if (folder / peft_adapter.CONFIG).is_file():
        return folder
    run = history.find_run(name)
    if not (run / "adapter" / peft_adapter.CONFIG).is_file():
        whole = (run / "model").is_dir()
        raise RecipeError(
            f"start_from: {run.name} has made {'a whole model' if whole else 'no adapter yet'}.",
            f"Give it as the model: {run / 'model'}" if whole else "Train it first.",
        )
    return run / "adapter"


def _shapes(file: Path) -> TensorShapes:
    try:
        with safe_open(file, "numpy") as stored:
            return {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RecipeError(f"start_from: {file} cannot be read: {error}.", "Name another run or adapter.") from error


def _said(shape: tuple[int, ...] | None) -> str:
    return " x ".join(map(str, shape)) if shape else "not"
