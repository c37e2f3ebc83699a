"""One adapter layout on disk, PEFT's: its names and its configuration, whichever engine wrote it."""

from __future__ import annotations

from typing import Any

from gemmalocal.recipe import LoraSpec

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."
INNER = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight"}


def to_disk(name: str) -> str:
    """`model.layers.0.mlp.up_proj.lora_a` to PEFT's name of that tensor; both are (rank, in) and (out, rank)."""
    module, _, inner = name.rpartition(".")
    return f"{PREFIX}{module}.{INNER[inner]}"


def from_disk(name: str) -> str:
    """The inverse of `to_disk`."""
    for ours, theirs in INNER.items():
        if name.startswith(PREFIX) and name.endswith(f".{theirs}"):
            return f"{name.removeprefix(PREFIX).removesuffix(theirs)}{ours}"
    raise ValueError(f"{name} is no LoRA tensor of PEFT's layout")


def config(lora: LoraSpec, base: str, layers: list[int]) -> dict[str, Any]:
    """PEFT's adapter_config.json for an adapter on `layers` of the model `base`."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": list(lora.target_modules),
        "layers_to_transform": layers,
        "bias": "none",
        "inference_mode": True,
    }
