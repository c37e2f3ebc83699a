"""Whether a model fits this machine: for training (rank 8, one micro-batch of 512 tokens) and for chat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from gemmalocal.planning import memory, model_sizes
from gemmalocal.planning.memory import EngineProfile
from gemmalocal.recipe.schema import Recipe

Training = Literal["yes", "checkpointing", "no", "unknown"]

TOKENS = 512
RECIPE = Recipe.model_validate({"model": "any", "data": {"path": "any"}, "lora": {"rank": 8}, "train": {"steps": 1}})
CHAT_MORE = 500_000_000  # bytes: keys and values, activations, the libraries


def training(config: dict[str, Any], weights: int, width: int, usable: int, engine: EngineProfile) -> Training:
    """Of a model with this config.json whose weights take `weights` bytes, activations `width` bytes a number.

    A run of `engine` may take `usable` bytes.

    `checkpointing` means that it fits only with it; `unknown` that the configuration lacks a size.
    """
    try:
        sizes = model_sizes.from_config(config)
        for checkpointing in (False, True):
            expected = memory.estimate(sizes, RECIPE, memory.Load(TOKENS, TOKENS), width, checkpointing, engine=engine)
            if replace(expected, weights=weights).total < usable:  # ours may be quantized
                return "checkpointing" if checkpointing else "yes"
    except (KeyError, TypeError):
        return "unknown"
    return "no"


def chat(weights: int, usable: int) -> bool:
    """Whether `weights` bytes leave room to answer where `usable` bytes may be taken."""
    return weights + CHAT_MORE < usable
