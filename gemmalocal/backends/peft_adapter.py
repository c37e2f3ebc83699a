"""One adapter layout on disk, PEFT's: its names and its configuration, whichever engine wrote it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
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
INNER = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight", "magnitude": "lora_magnitude_vector"}

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
        own = self.magnitude is None or self.magnitude.shape == (rows,)
        return own and self.lora_a.shape == (rank, columns) and self.lora_b.shape == (rows, rank)


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
        found = {
            layer: Part(own["lora_a"], own["lora_b"], own.get("magnitude"), scale(config, len(own["lora_a"])))
            for layer, own in layers.items()
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder} holds no adapter: {error}", "Give a LoRA in PEFT's layout.") from error
    if config.get("alpha_pattern"):
        raise ModelError(f"The adapter in {folder} has an alpha_pattern.", "Only one lora_alpha for all is understood.")
    return found


def load(folder: Path, weights: str) -> tuple[dict[str, Floats], dict[str, Any]]:
    """The tensors of the file `weights` in `folder`, as float32, and its configuration; raises `ModelError`."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if (folder / weights).is_file():
            safe_header.read(folder / weights)  # before memory is taken
        stored: list[tuple[str, dict[str, Any]]] = deserialize((folder / weights).read_bytes())  # type: ignore[no-untyped-call]
        found = {name: _array(one) for name, one in stored}
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(f"{folder} holds no adapter: {error}", f"It needs {CONFIG} and {weights}.") from error
    if not found:
        raise ModelError(f"{folder / weights} is empty.", "Train it again.")
    return found, config


def _array(one: dict[str, Any]) -> Floats:
    """A stored tensor as float32."""
    if one["dtype"] == "BF16":
        return widened(np.frombuffer(one["data"], np.uint16)).reshape(one["shape"])
    kind = {"F32": np.float32, "F16": np.float16}[one["dtype"]]
    return np.frombuffer(one["data"], kind).reshape(one["shape"]).astype(np.float32)


def to_disk(name: str, wrapped: bool = False) -> str:
    """`model.layers.0.mlp.up_proj.lora_a` to PEFT's name of that tensor.

    lora_a is (rank, in), lora_b (out, rank), DoRA's magnitude (out,).
    """
    module, _, inner = name.rpartition(".")
    if wrapped:
        module = WRAPPER + module.removeprefix("model.")
    return f"{PREFIX}{module}.{INNER[inner]}"


def from_disk(name: str) -> str:
    """The inverse of `to_disk`."""
    for ours, theirs in INNER.items():
        if name.startswith(PREFIX) and name.endswith(f".{theirs}"):
            return f"{name.removeprefix(PREFIX).removesuffix(theirs)}{ours}".replace(WRAPPER, "model.", 1)
    raise ValueError(f"{name} is no LoRA tensor of PEFT's layout")


def config(recipe: Recipe, layers: list[int], wrapped: bool) -> dict[str, Any]:
    """PEFT's adapter_config.json for an adapter on `layers` of the recipe's model."""
    lora = recipe.lora
    about = lora_config(recipe.model, lora.rank, lora.alpha, lora.dropout, recipe.method == "dora")
    return about | where(lora.target_modules, layers, wrapped)


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
    some = "|".join(
        str(layer) for layer in layers
    )  # by whole names: the vision tower has projections of the same names
    return {"target_modules": rf"{WRAPPER}layers\.({some})\.(.*\.)?({'|'.join(modules)})"}
