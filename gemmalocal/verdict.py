"""Whether a model fits this machine: for training (rank 8, one micro-batch of 512 tokens) and for chat."""

from __future__ import annotations

from typing import Any, Literal

from gemmalocal import catalog, fit
from gemmalocal.recipe import Recipe

Training = Literal["yes", "checkpointing", "no", "unknown"]

TOKENS = 512
RECIPE = Recipe.model_validate({"model": "any", "data": {"path": "any"}, "lora": {"rank": 8}, "train": {"steps": 1}})
CHAT_MORE = 500_000_000  # bytes: keys and values, activations, the libraries


def training(config: dict[str, Any], weights: int, width: int, memory: int) -> Training:
    """Of a model with this config.json whose weights take `weights` bytes, activations `width` bytes a number.

    `checkpointing` means that it fits only with it; `unknown` that the configuration lacks a size.
    """
    try:
        sizes = catalog.from_config(config.get("text_config") or config)
        for checkpointing in (False, True):
            expected = fit.estimate(sizes, RECIPE, TOKENS, width, checkpointing)
            # The estimate's own weights are those of a dense model in `width`; ours may be quantized or have experts.
            if expected.total - expected.weights + weights < fit.USABLE * memory:
                return "checkpointing" if checkpointing else "yes"
    except (KeyError, TypeError):
        return "unknown"
    return "no"


def chat(weights: int, memory: int) -> bool:
    """Whether weights of so many bytes leave room to answer."""
    return weights + CHAT_MORE < fit.USABLE * memory
