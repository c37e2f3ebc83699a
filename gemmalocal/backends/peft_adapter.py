"""One adapter layout on disk, PEFT's: its names and its configuration, whichever engine wrote it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, deserialize

from gemmalocal.errors import ModelError
from gemmalocal.recipe.schema import Recipe
from gemmalocal.weights import safe_header
from gemmalocal.weights.tensors import Floats, widened

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."
WRAPPER = "model.language_model."  # where a multimodal model keeps its text model
PEFT_TENSORS = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight", "magnitude": "lora_magnitude_vector"}

OTHER_BASE = "Give it the base model that it was trained on."


class Part(NamedTuple):
    """What an adapter adds to one linear layer: `scale * lora_b @ lora_a`, and DoRA's `magnitude` if it has one.

    lora_a is (rank, in), lora_b (out, rank), magnitude (out,); all float32.
    """

    lora_a: Floats
    lora_b: Floats
    magnitude: Floats | None
    scale: float

    def fits(self, rows: int, columns: int) -> bool:
        """Whether it is for a layer with weights (rows, columns)."""
        rank = len(self.lora_a)
        magnitude_fits = self.magnitude is None or self.magnitude.shape == (rows,)
        return magnitude_fits and self.lora_a.shape == (rank, columns) and self.lora_b.shape == (rows, rank)


def parts(folder: Path) -> dict[str, Part]:
    """The adapter in `folder`, by the names of linear layers (`model.layers.0.mlp.up_proj`).

    Raises `ModelError` for what is no LoRA in PEFT's layout, and for one that has several alphas.
    """
    tensors, config = load(folder, WEIGHTS)
    layers: dict[str, dict[str, Floats]] = {}
    try:
        for name, value in tensors.items():
            layer, _, inner = from_disk(name).rpartition(".")
            layers.setdefault(layer, {})[inner] = value
        parts_by_layer = {
            layer: Part(
                tensors_of_layer["lora_a"],
                tensors_of_layer["lora_b"],
                tensors_of_layer.get("magnitude"),
                scale(config, len(tensors_of_layer["lora_a"])),
            )
            for layer, tensors_of_layer in layers.items()
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder} holds no adapter: {error}", "Give a LoRA in PEFT's layout.") from error
    if config.get("alpha_pattern"):
        raise ModelError(f"The adapter in {folder} has an alpha_pattern.", "Only one lora_alpha for all is understood.")
    return parts_by_layer


def load(folder: Path, weights: str) -> tuple[dict[str, Floats], dict[str, Any]]:
    """The tensors of the file `weights` in `folder`, by name and as float32, and its configuration.

    Raises `ModelError`.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if (folder / weights).is_file():
            safe_header.read(folder / weights)  # before memory is taken
        entries: list[tuple[str, dict[str, Any]]] = deserialize((folder / weights).read_bytes())  # type: ignore[no-untyped-call]
        # In the order of names: safetensors gives them in one that differs between runs.
        tensors = {name: _array(entry) for name, entry in sorted(entries, key=lambda named: named[0])}
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(f"{folder} holds no adapter: {error}", f"It needs {CONFIG} and {weights}.") from error
    if not tensors:
        raise ModelError(f"{folder / weights} is empty.", "Train it again.")
    return tensors, config


def _array(entry: dict[str, Any]) -> Floats:
    """A tensor of safetensors (its dtype, shape and bytes) as float32; raises `KeyError` for one of integers."""
    if entry["dtype"] == "BF16":  # for which numpy has no dtype: the upper half of a float32
        return widened(np.frombuffer(entry["data"], np.uint16)).reshape(entry["shape"])
    dtype = {"F32": np.float32, "F16": np.float16}[entry["dtype"]]
    return np.frombuffer(entry["data"], dtype).reshape(entry["shape"]).astype(np.float32)


def to_disk(name: str, wrapped: bool = False) -> str:
    """`model.layers.0.mlp.up_proj.lora_a` to PEFT's name of that tensor.

    lora_a is (rank, in), lora_b (out, rank), DoRA's magnitude (out,).
    """
    module, _, inner = name.rpartition(".")
    if wrapped:
        module = WRAPPER + module.removeprefix("model.")
    return f"{PREFIX}{module}.{PEFT_TENSORS[inner]}"


def from_disk(name: str) -> str:
    """The inverse of `to_disk`; raises `ValueError` for a name of another layout."""
    for ours, theirs in PEFT_TENSORS.items():
        if name.startswith(PREFIX) and name.endswith(f".{theirs}"):
            return f"{name.removeprefix(PREFIX).removesuffix(theirs)}{ours}".replace(WRAPPER, "model.", 1)
    raise ValueError(f"{name} is not a LoRA tensor of PEFT's layout")


def check_complete(names: Iterable[str], trained: Iterable[str]) -> None:
    """Raise `ModelError` unless an adapter's tensors, by our names, are those that a trainer trains."""
    names, trained = set(names), set(trained)
    if odd := sorted(trained - names) or sorted(names - trained):
        verb = "lacks" if odd[0] in trained else "has, and this recipe does not train,"
        raise ModelError(f"The adapter {verb} {odd[0]}.", "Take one with the same target_modules and layers.")


def config(recipe: Recipe, layers: list[int], wrapped: bool) -> dict[str, Any]:
    """PEFT's adapter_config.json for an adapter on `layers` of the recipe's model."""
    lora = recipe.lora
    base_config = lora_config(recipe.model, lora.rank, lora.alpha, lora.dropout, recipe.method == "dora")
    return base_config | where(lora.target_modules, layers, wrapped)


def lora_config(base: str, rank: int, alpha: float, dropout: float, dora: bool) -> dict[str, Any]:
    """What PEFT must know, but for `where`."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": dropout,
        "use_dora": dora,
        "bias": "none",
        "inference_mode": True,
    }


def scale(config: Mapping[str, Any], rank: int) -> float:
    """What B A is multiplied by, as PEFT's configuration says: alpha / rank, or rsLoRA's (arXiv:2312.03732) root."""
    alpha = float(config["lora_alpha"])
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def where(modules: Sequence[str], layers: Sequence[int], wrapped: bool) -> dict[str, Any]:
    """How PEFT finds the adapted `modules` (q_proj, ...) of `layers`."""
    if not wrapped:
        return {"target_modules": list(modules), "layers_to_transform": list(layers)}
    # By whole names: the vision tower has projections of the same names.
    layer_pattern = "|".join(map(str, layers))
    return {"target_modules": rf"{WRAPPER}layers\.({layer_pattern})\.(.*\.)?({'|'.join(modules)})"}
