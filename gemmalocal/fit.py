"""Will it fit: the peak memory of training, by arithmetic over the model's sizes and the recipe; and the inverse.

Weights, adapter and optimizer are counted. The activations' factors say how many numbers of each width are alive:
they were fitted to `mx.get_peak_memory` on MLX's CPU build over ten shapes of Gemma 3, at 128, 512 and 1,024 tokens,
with and without checkpointing, and are within 6 % there. Not measured: Metal, where attention is fused and keeps no
scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gemmalocal.catalog import Sizes
from gemmalocal.recipe import Recipe

USABLE = 0.7  # of a machine's memory: the rest is the system's
HEAD_ROWS = 128  # rows of logits that are alive at once
HEAD_COPIES = 3  # logits, softmax and its gradient
LONG = 512  # tokens of a row up to which whole attention scores are kept
STATES = {"adamw": 2, "lion": 1, "adafactor": 0}
STEP = 8  # tokens: how exactly `most_tokens` answers


@dataclass(frozen=True)
class Load:
    """What is under way at once: `tokens` in all micro-batches, padding counted, in rows of at most `length`."""

    tokens: int
    length: int


@dataclass(frozen=True)
class Estimate:
    """Bytes at the peak, by what takes them."""

    weights: int
    activations: int
    head: int
    adapter: int  # what is trained: LoRA weights (of a full fine-tune none), gradients, the optimizer's state

    @property
    def total(self) -> int:
        """Bytes at the peak."""
        return self.weights + self.activations + self.head + self.adapter

    def corrected(self, factor: float) -> Estimate:
        """With activations and head times `factor`: what this machine was measured to take beyond the arithmetic."""
        return replace(self, activations=int(self.activations * factor), head=int(self.head * factor))


def estimate(
    sizes: Sizes, recipe: Recipe, load: Load, width: int, checkpointing: bool, bits: float | None = None
) -> Estimate:
    """Peak of a step; `width` is bytes of a number, `bits` those of a quantized weight (the recipe's, if it says)."""
    if recipe.bits:
        bits = recipe.bits
    scale = 2 * width / 64 if bits else 0  # a scale and a bias for every 64 quantized weights
    return Estimate(
        weights=int(sizes.weights * ((bits / 8 + scale) if bits else width)),
        activations=int(load.tokens * width * _alive(sizes, load.length, checkpointing)),
        head=int(min(HEAD_ROWS, load.tokens) * sizes.vocabulary * 4 * HEAD_COPIES) if bits or width < 4 else 0,
        adapter=_trained(sizes, recipe),
    )


def _alive(sizes: Sizes, length: int, checkpointing: bool) -> float:
    """Numbers of activations alive for each token when the backward pass begins."""
    scores = sizes.heads * length if length <= LONG else 0
    inner = sizes.inner + sizes.routed
    kept = 5 * sizes.width + 4.6 * inner + 2.3 * sizes.queries + 5 * sizes.keys + scores
    work = 12 * sizes.width + 3.5 * inner + 7 * sizes.queries + scores
    layers = sizes.layers * sizes.width + kept if checkpointing else sizes.layers * kept
    return layers + work + sizes.beside


def _trained(sizes: Sizes, recipe: Recipe) -> int:
    """Bytes that training adds to the weights: of float32 weights, their gradient while it is summed, and states."""
    states = STATES[recipe.train.optimizer]
    if recipe.method == "full":
        return int(sizes.weights * 4 * (2.5 + states))
    lora = recipe.lora
    share = 1.0 if lora.layers == "all" else min(1.0, lora.layers / sizes.layers)
    count = lora.rank * share * sizes.layers * _ends(sizes, list(lora.target_modules))
    return int(count * 4 * (3 + states))


def most_tokens(expected: Callable[[int], Estimate], memory: int, most: int) -> int:
    """The most tokens, up to `most`, whose expected peak fits in a machine's `memory` bytes; 0 if none do."""
    low, high = 0, most // STEP
    while low < high:
        middle = (low + high + 1) // 2
        if expected(middle * STEP).total <= USABLE * memory:
            low = middle
        else:
            high = middle - 1
    return low * STEP


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
