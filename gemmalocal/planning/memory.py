"""Will it fit: the peak memory of training, by arithmetic over the model's sizes and the recipe; and the inverse.

Weights, adapter and optimizer are counted. The activations' factors say how many numbers of each width are alive.
MLX's were fitted to `mx.get_peak_memory` on its CPU build over ten shapes of Gemma 3, at 128, 512 and 1,024 tokens,
with and without checkpointing, and are within 6 % there. Not measured: Metal, where attention is fused and keeps no
scores. Torch's were counted, and held against the resident memory of processes on the CPU; not measured: CUDA.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace

from gemmalocal.planning.model_sizes import Sizes
from gemmalocal.recipe.schema import Recipe

HEAD_ROWS = 128  # rows of logits alive at once; 128 MiB in float32 at Gemma 3's vocabulary
HEAD_COPIES = 3  # logits, softmax and its gradient
HEAD_COPIES_NARROW = 4  # on a GPU's path: the same, and logits and gradient in the narrow type of the weights
HEAD_COPIES_FLOAT32 = 2.25  # on a GPU's path, where nothing is cast: logits and their gradient, and where targets are
LONG = 512  # tokens of a row up to which whole attention scores are as cheap, and are kept
GROUP = 64  # quantized weights that share a scale and a bias
NF4_SCALE, GROUP_SCALE = 0.016, 2 / GROUP  # bytes beside a quantized weight; the second times a number's width
TILE = 512 * 8192  # logits at once, where the head goes by tiles of the vocabulary
STATES = {"adamw": 2, "lion": 1, "adafactor": 0, "paged_adamw_8bit": 0.5}  # in weights of float32
STEP = 8  # tokens: how exactly `most_tokens` answers


@dataclass(frozen=True)
class EngineProfile:
    """How many numbers of each width (width, inner, queries, keys) an engine has alive for a token of a layer."""

    kept: tuple[float, float, float, float]  # for the backward pass
    work: tuple[float, float, float, float]  # beside that, in the layer that is under way
    slack: float  # what the allocator holds beyond that, as a factor, without checkpointing
    recomputed: int  # of the inner width, what is computed again in rows above `LONG` of float32 (MLX: on the CPU)
    scores: bool  # whether those of rows up to `LONG` are kept
    quantized_embedding: bool
    on_cards: bool  # whether it is the one for NVIDIA cards
    whole_head: bool = False  # whether float32 logits too are whole for each of `HEAD_ROWS` rows, and not in tiles
    narrow: float = 1  # of activations of 2 bytes, a factor for what MLX's CPU build computes in float32 (norms, rope)


ENGINES = {
    "mlx": EngineProfile((5, 4.6, 2.3, 5), (12, 3.5, 7, 0), 1, 2, True, True, False),
    "torch": EngineProfile((6, 3, 3.5, 3), (6, 4, 4, 4), 1.22, 0, False, False, True),
}
MLX_ON_GPU_PATH = replace(ENGINES["mlx"], slack=0.95, whole_head=True, narrow=1.2)


def profile(engine: str, gpu_path: bool = False) -> EngineProfile:
    """An engine's profile; MLX's is another one where it takes a GPU's path."""
    return MLX_ON_GPU_PATH if gpu_path and not ENGINES[engine].on_cards else ENGINES[engine]


@dataclass(frozen=True)
class Load:
    """What is under way: `tokens` at once, padding counted, in rows of at most `length`, side by side in `streams`."""

    tokens: int
    length: int
    streams: int = 1

    @property
    def micro_batch_tokens(self) -> int:
        """Tokens of a micro-batch."""
        return max(self.length, -(-self.tokens // self.streams))


@dataclass(frozen=True)
class Estimate:
    """Bytes at the peak, by what takes them. Activations and head are gone when the optimizer steps."""

    weights: int
    activations: int
    head: int
    adapter: int  # what is trained beside the weights (LoRA), and the optimizer's state
    update: int  # gradients, and what the optimizer replaces

    @property
    def total(self) -> int:
        """Bytes at the peak."""
        return self.weights + self.adapter + max(self.activations + self.head, self.update)

    def fits(self, usable: int) -> bool:
        """Whether that is no more than the bytes that a run may take."""
        return self.total <= usable

    def corrected(self, factor: float) -> Estimate:
        """With activations and head times `factor`: what this machine was measured to take beyond the arithmetic."""
        return replace(self, activations=int(self.activations * factor), head=int(self.head * factor))


def estimate(
    sizes: Sizes,
    recipe: Recipe,
    load: Load,
    width: int,
    checkpointing: bool,
    bits: float | None = None,
    engine: EngineProfile = ENGINES["mlx"],
    stream: int | None = None,
) -> Estimate:
    """Bytes at a step's peak; `width` is bytes of a number, `bits` of a quantized weight (the recipe's, if it says).

    `stream` is bytes of a number in activations, where they differ from the weights'.
    """
    if recipe.bits:
        bits = recipe.bits
    stream = stream or width
    states = STATES[recipe.train.optimizer]
    full = recipe.method == "full"
    # Bytes of what is trained, in float32; the optimizer's states are counted as a multiple of it.
    trained = 4 * (sizes.weights if full else _adapted(sizes, recipe))
    return Estimate(
        weights=int(_weights(sizes, width, bits, engine)),
        activations=int(
            stream
            * (engine.narrow if stream < 4 else 1)
            * _activation_numbers(sizes, recipe, load, stream, checkpointing, engine)
        ),
        head=int(_head(sizes, load, width, bits, engine)),
        adapter=int(trained * (states if full else 1 + states)),
        update=int(trained * 2.5),
    )


def _weights(sizes: Sizes, width: int, bits: float | None, engine: EngineProfile) -> float:
    """Bytes of the frozen weights."""
    if not bits:
        return sizes.weights * width
    if engine.quantized_embedding:
        return sizes.weights * (bits / 8 + GROUP_SCALE * width)
    embedding = sizes.vocabulary * sizes.width
    return embedding * width + (sizes.weights - embedding) * (bits / 8 + NF4_SCALE)


def _head(sizes: Sizes, load: Load, width: int, bits: float | None, engine: EngineProfile) -> float:
    """Bytes of logits and what is made of them."""
    if not engine.quantized_embedding:
        return 4 * TILE
    if not (engine.whole_head or bits or width < 4):
        return 0  # by tiles, which are few
    copies: float = HEAD_COPIES
    if engine.whole_head:
        copies = HEAD_COPIES_NARROW if width < 4 else HEAD_COPIES_FLOAT32
    return min(HEAD_ROWS, load.tokens) * sizes.vocabulary * 4 * copies


def _activation_numbers(
    sizes: Sizes, recipe: Recipe, load: Load, stream: int, checkpointing: bool, engine: EngineProfile
) -> float:
    """Numbers of activations that are alive in the backward pass, at its fullest."""
    scores = sizes.heads * load.length if engine.scores and load.length <= LONG else 0
    inner = sizes.inner + sizes.routed
    widths = (sizes.width, inner, sizes.queries, sizes.keys)
    kept: float = sum(map(operator.mul, engine.kept, widths)) + scores
    if load.micro_batch_tokens > LONG and (stream == 4 or engine.whole_head):
        share = recipe.method == "full" or "down_proj" in recipe.lora.target_modules or 0.5
        kept -= inner * engine.recomputed * share
    if recipe.method != "full":
        kept -= _spared(sizes, set(recipe.lora.target_modules))
    if recipe.method == "dora":  # what the projections gave, for the gradient of their lengths
        kept += 2 * sizes.width + 2 * inner + sizes.queries + 2 * sizes.keys
    work: float = sum(map(operator.mul, engine.work, widths)) + scores
    # With checkpointing a layer keeps only its input, and each micro-batch at hand has a layer computed again.
    if checkpointing:
        return load.tokens * (sizes.layers * sizes.width + sizes.beside + kept + work)
    return (load.tokens * (sizes.layers * kept + sizes.beside) + load.micro_batch_tokens * work) * engine.slack


def _spared(sizes: Sizes, targets: set[str]) -> int:
    """Inputs of projections that need not be kept, since no adapter needs them for its gradient."""
    attention, forward = {"q_proj", "k_proj", "v_proj"} & targets, {"gate_proj", "up_proj"} & targets
    spared = sizes.width * ((not attention) + (not forward))
    return spared + sizes.queries * ("o_proj" not in targets) + sizes.inner * ("down_proj" not in targets)


def _adapted(sizes: Sizes, recipe: Recipe) -> float:
    """Weights of the adapter."""
    lora = recipe.lora
    share = 1.0 if lora.layers == "all" else min(1.0, lora.layers / sizes.layers)
    return lora.rank * share * sizes.layers * _weights_per_rank(sizes, list(lora.target_modules))


def most_tokens(expected: Callable[[int], Estimate], usable: int, limit: int) -> int:
    """The most tokens, up to `limit`, whose expected peak is no more than `usable` bytes; 0 if there are none."""
    # Bisection in units of STEP tokens: the expected peak grows with the tokens.
    low, high = 0, limit // STEP
    while low < high:
        middle = (low + high + 1) // 2
        if expected(middle * STEP).fits(usable):
            low = middle
        else:
            high = middle - 1
    return low * STEP


def _weights_per_rank(sizes: Sizes, targets: list[str]) -> int:
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
