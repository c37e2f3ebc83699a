"""One adapter layout on disk, PEFT's: its names and its configuration, whichever engine wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gemmalocal.recipe import Recipe

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."
WRAPPER = "model.language_model."  # where a multimodal model keeps its text model
INNER = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight", "magnitude": "lora_magnitude_vector"}


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
