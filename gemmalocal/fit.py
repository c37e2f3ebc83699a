"""Will it fit: the peak memory of training, by arithmetic over the model's sizes and the recipe.

The activations' factors were fitted to `mx.get_peak_memory` of Gemma 3 270M on MLX's CPU build (float32, 128 to 512
tokens). Not covered yet: quantized weights, attention scores of rows beyond a few thousand tokens, experts.
"""

from __future__ import annotations

from dataclasses import dataclass

from gemmalocal.catalog import Sizes
from gemmalocal.recipe import Recipe

HEAD_ROWS = 128  # rows of logits that are alive at once
USABLE = 0.7  # of a machine's memory: the rest is the system's


@dataclass(frozen=True)
class Estimate:
    """Bytes at the peak, by what takes them."""

    weights: int
    activations: int
    head: int
    adapter: int  # LoRA weights, their gradient twice, and the optimizer's state

    @property
    def total(self) -> int:
        """Bytes at the peak."""
        return self.weights + self.activations + self.head + self.adapter


def estimate(sizes: Sizes, recipe: Recipe, tokens: int, width: int, checkpointing: bool) -> Estimate:
    """Peak of a step whose largest micro-batch has `tokens` tokens, padding counted; `width` is bytes a weight."""
    layer = 8 * sizes.width + 5.5 * sizes.inner + 3.5 * sizes.queries
    per_token = sizes.layers * sizes.width + layer if checkpointing else sizes.layers * layer
    share = 1.0 if recipe.lora.layers == "all" else min(1.0, recipe.lora.layers / sizes.layers)
    adapter = recipe.lora.rank * share * sizes.layers * _ends(sizes, list(recipe.lora.target_modules))
    states = {"adamw": 2, "lion": 1, "adafactor": 0}[recipe.train.optimizer]
    return Estimate(
        weights=(sizes.body + sizes.embedding) * width,
        activations=int(tokens * per_token * width),
        head=min(HEAD_ROWS, tokens) * sizes.vocabulary * 4,
        adapter=int(adapter * 4 * (3 + states)),
    )


def needs_checkpointing(sizes: Sizes, recipe: Recipe, tokens: int, width: int, memory: int) -> bool:
    """Whether `checkpointing: auto` means yes on a machine with `memory` bytes."""
    return estimate(sizes, recipe, tokens, width, checkpointing=False).total > USABLE * memory


def _ends(sizes: Sizes, targets: list[str]) -> int:
    """Inputs plus outputs of a layer's target projections: LoRA weights for each rank."""
    ends = {
        "q_proj": sizes.width + sizes.queries,
        "k_proj": sizes.width + sizes.keys,
        "v_proj": sizes.width + sizes.keys,
        "o_proj": sizes.queries + sizes.width,
        "gate_proj": sizes.width + sizes.inner,
        "up_proj": sizes.width + sizes.inner,
        "down_proj": sizes.inner + sizes.width,
    }
    return sum(ends[target] for target in targets)
