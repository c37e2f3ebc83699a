"""What a backend is: a trainer that accumulates and applies, and answers; it never sees text or a recipe file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from gemmalocal.backends.process_group import ALONE, Group
from gemmalocal.data.batches import BatchShape, MicroBatch
from gemmalocal.data.examples import Example
from gemmalocal.planning.device_memory import DeviceMemory
from gemmalocal.planning.memory import EngineProfile
from gemmalocal.recipe.schema import Recipe

TokenValues = NDArray[np.float32]  # (n,) or (n, k), for each supervised token of a micro-batch, row by row
TokenIds = NDArray[np.int32]  # (n, k), of the vocabulary, for each of these tokens
# Of several micro-batches: log-probabilities of their supervised tokens, in nats, to a loss and its slopes by these.
Objective = Callable[[Sequence[TokenValues]], tuple[float, Sequence[TokenValues]]]
# By the functions of numpy, or of a library that names them alike, and values (n, k) of one part with its constants,
# (n, ...) each, arrays of that library: losses (n,), and the slopes of their sum by the values, (n, k).
Formula = Callable[..., tuple[Any, Any]]

Given = TypeVar("Given")


def of_each(parts: Sequence[MicroBatch], given: Sequence[Given] | None) -> list[Given | None]:
    """What was given for each part, or None for each."""
    return [None] * len(parts) if given is None else list(given)


@dataclass(frozen=True)
class ByToken:
    """An objective whose slopes at a token depend on that token's values alone.

    So an engine may compute them where the values are, by `formula`, which must be hashable, and by the `constants` of
    each part, (n, ...) float32. Constants of zeros, for no token, must give slopes of 0. The objective is called with
    the values in any case.
    """

    objective: Objective
    formula: Formula
    constants: Sequence[Sequence[TokenValues]]

    def __call__(self, values: Sequence[TokenValues]) -> tuple[float, Sequence[TokenValues]]:
        """As any objective."""
        return self.objective(values)


class Update(NamedTuple):
    """What one optimizer step did.

    Mean loss, in nats over its supervised tokens by their weights or of an objective over what that counts; the
    supervised tokens; the gradient's norm before clipping.
    """

    loss: float
    tokens: int
    grad_norm: float

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are numbers; if not, nothing was changed."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


class Memory(NamedTuple):
    """The allocator's figures in bytes: the peak since the last look, what is held, what is kept of freed buffers."""

    peak: int
    active: int
    cached: int


class InferenceModel(Protocol):
    """A model that is asked, and not changed."""

    shapes: BatchShape
    group: Group

    def evaluate(self, parts: Sequence[MicroBatch]) -> tuple[float, float]:
        """Summed loss in nats, without dropout or a gradient, and summed weights of tokens, of this rank alone.

        A token's loss counts by its weight.

        Raises `OutOfMemory`.
        """

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The logits (vocabulary,), float32, of what follows `ids`, without dropout."""

    def stream(self, ids: Sequence[int], max_tokens: int, stops: set[int]) -> Iterator[int]:
        """Answer greedily, at most `max_tokens` ids; a stop id ends it and is the last one yielded."""


class Sampling(NamedTuple):
    """How the next token is chosen: the likeliest at temperature 0, else drawn.

    Logits are divided by `temperature`; then only the `top_k` likeliest stay (0: all), and of these the likeliest that
    together reach the probability `top_p`. `seed` is not negative.
    """

    temperature: float = 0
    top_p: float = 1
    top_k: int = 0
    seed: int = 0
    max_tokens: int = 256


class Trainer(InferenceModel, Protocol):
    """A model with an adapter and an optimizer; the same, step by step, on all ranks of its `group`."""

    def accumulate(
        self,
        parts: Sequence[MicroBatch],
        objective: Objective | None = None,
        choices: Sequence[TokenIds] | None = None,
    ) -> None:
        """Add the summed loss and gradient of at most `shapes.streams` micro-batches to what `apply` will use.

        The loss is in nats, a token's by its weight, or that of an `objective` over the log-probabilities of these
        parts, which knows no weights. These are the supervised tokens' own, (n,), or, with `choices` for each part,
        those of the k ids that were chosen for each of them, (n, k); so are the slopes. With `choices` the softmax is
        that at the recipe's `teacher.temperature`.

        Dropout depends on the count of micro-batches of all updates before and on a
        part's `number`, not on who computes it. Raises `OutOfMemory`.
        """

    def apply(self, learning_rate: float, count: float | None = None) -> Update:
        """Divide by `count` (None: the tokens' weights), clip, step, forget; only forget if it is not `finite`.

        `count` is of the whole group, such as the pairs of a step.

        Gradient, loss, tokens and count of micro-batches are first summed over the group, of which all must call, also
        who accumulated nothing. Clipped is the norm over all that is trained. Raises `WorkKilled` if another rank is
        gone.
        """

    def log_probabilities(
        self, parts: Sequence[MicroBatch], dropout: bool = False, choices: Sequence[TokenIds] | None = None
    ) -> list[TokenValues]:
        """Of the supervised tokens of at most `shapes.streams` micro-batches, in nats, without a gradient.

        With `choices` those of the ids that were chosen for them, (n, k), as in `accumulate`.

        With `dropout`, masks are those that `accumulate` will draw for these parts before the next `apply`. Raises
        `OutOfMemory`.
        """

    def answer(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, stops: set[int]
    ) -> Iterator[list[int | None]]:
        """Answer all prompts at once, without dropout, as `Generator.stream` does with one voice."""

    def save(self, directory: Path) -> None:
        """Write what is trained, the optimizer and the random state into an existing folder.

        An adapter is written in PEFT's layout (float32), a full fine-tune as model.safetensors.
        """

    def restore(self, directory: Path) -> None:
        """Take up what `save` wrote, and forget what was accumulated."""

    def load(self, directory: Path) -> None:
        """Take up an adapter in PEFT's layout, whichever engine wrote it, and nothing else.

        Raises `ModelError` for one of other projections than are trained.
        """

    def renew(self, recipe: Recipe) -> bool:
        """Begin anew over the same weights, as if just opened by `recipe`, which trains the same model.

        False, and nothing is changed, where its adapter lies at other places: then another trainer must be opened.
        """

    def full_logits_loss(self, parts: Sequence[MicroBatch]) -> float:
        """The mean loss (nats a token) of a batch with a fresh adapter, by whole logits: the truth for `bench`."""

    def work(self) -> tuple[float, float]:
        """Useful operations of training (FLOP) for each real token in the body, for each supervised one in the head."""

    def memory(self) -> Memory:
        """What the allocator says, in bytes; a call begins a new peak."""

    def release(self) -> None:
        """Give the allocator's freed buffers back to the system."""


class Scores(NamedTuple):
    """What voices make of examples, in nats, summed over an example's supervised tokens; (examples, voices), float64.

    `nats` is the loss, `kl` the divergence of a voice from the first one, KL(first || voice).
    """

    nats: NDArray[np.float64]
    kl: NDArray[np.float64]


class Likeliest(NamedTuple):
    """Of n tokens to be predicted a voice's k likeliest ids, the likeliest first, and what it gives them, in nats.

    `ids` and `log_probabilities` are (n, k); `rest` (n,) is the log-probability of all other ids together.
    """

    ids: TokenIds
    log_probabilities: TokenValues
    rest: TokenValues


class Generator(Protocol):
    """One copy of a base model's weights, and adapters that lie over it: several voices in one forward pass."""

    def stream(
        self, prompts: Sequence[Sequence[int]], voices: Sequence[int], sampling: Sampling, stops: set[int]
    ) -> Iterator[list[int | None]]:
        """Answer all prompts at once: each step gives one id for each prompt, None for one that has ended.

        `voices[i]` speaks to prompt i: 0 is the base, k is the generator's k-th adapter. A stop id ends an answer and
        is its last. An answer does not depend on the other rows, except that the n-th prompt of a voice has the seed's
        n-th draws: two voices asked the same draw alike, a prompt given twice to one voice gets two answers.
        """

    def score(self, examples: Sequence[Example], voices: Sequence[int]) -> Scores:
        """Let each voice read each example, all in one forward pass; whoever calls keeps them few.

        Raises `OutOfMemory`.
        """

    def logits(self, examples: Sequence[Example], voice: int) -> Iterator[NDArray[np.float32]]:
        """A voice's logits (n, vocabulary) of the tokens to be predicted, by `scoring.parts`; whoever gets them may
        write on them. Raises `OutOfMemory`.
        """

    def likeliest(
        self, examples: Sequence[Example], voice: int, keep: int, temperature: float, vocabulary: int
    ) -> Likeliest:
        """What a voice says of the tokens to be predicted, example by example; whoever calls keeps them few.

        Logits are divided by `temperature`; only ids below `vocabulary` count, of which `keep` are kept. Raises
        `OutOfMemory`.
        """

    def close(self) -> None:
        """Give back the memory of the weights, and that of freed buffers; it is not asked any more."""


class Backend(Protocol):
    """A module satisfies it."""

    name: str  # in recipes, and in what is remembered of runs

    def device_remark(self) -> str:
        """A sentence if a variable chose what the engine computes on, or how; else empty."""

    def at_home(self) -> bool:
        """Whether this machine is what the engine is fast on."""

    def group(self) -> Group:
        """The processes that a launcher started with this one; raises `BackendUnavailable` for a wrong launcher."""

    def trainer(self, folder: Path, recipe: Recipe, group: Group = ALONE) -> Trainer:
        """Load the weights in `folder` and attach a fresh adapter. Raises `ModelError`, `OutOfMemory`,
        `RecipeError` for an optimizer that the engine has not, `BackendUnavailable` for a missing quantizer.

        Checkpointing is on only if the recipe says true: whoever calls has decided what auto means.
        """

    def generator(
        self, folder: Path, adapters: Sequence[Path] = (), dtype: str = "auto", quantize: int | None = None
    ) -> Generator:
        """Load the weights in `folder` and lay adapters in PEFT's layout over them. Raises `ModelError`, `OutOfMemory`.

        `dtype` and `quantize` (bits) are a recipe's `weight_dtype` and `bits`: an adapter fits what it was trained on.
        """

    def device_memory(self) -> DeviceMemory:
        """The memory where this engine computes, and how much of it a run may take."""

    def memory_profile(self) -> EngineProfile:
        """How many numbers this engine has alive, by the path that it takes here."""

    def shapes(self) -> BatchShape:
        """The shapes of micro-batches that this engine likes here."""

    def weight_bytes(self, dtype: str) -> int:
        """Bytes that a weight takes in a recipe's dtype here."""

    def activation_bytes(self, dtype: str) -> int:
        """Bytes that a number takes in the activations, with weights in a recipe's dtype."""

    def train_baseline(
        self,
        folder: Path,
        rows: Sequence[tuple[list[int], int]],
        batch_size: int,
        steps: int,
        max_length: int,
        checkpointing: bool = False,
    ) -> dict[str, Any]:
        """Train the same rows with the engine's stock trainer; gives `baseline.figures`, for `bench`.

        A row is its ids and the count of those that are not supervised; longer ones are cut at `max_length` ids.
        Raises `BackendUnavailable` where that trainer is not installed, `OutOfMemory`.
        """

    def probe(self) -> dict[str, Any]:
        """What this engine runs on here, and how fast it multiplies (GFLOP/s): for `doctor`."""


class GraphCounter(Protocol):
    """Counts what a GPU would be asked to do, without one: launches, waits, bytes."""

    def our_step(self, folder: Path, recipe: Recipe, rows: Sequence[Example]) -> dict[str, Any]:
        """A training step of ours on these rows."""

    def stock_step(self, folder: Path, recipe: Recipe, rows: Sequence[Example]) -> dict[str, Any]:
        """A step of the engine's stock trainer on the same rows, with weights in the recipe's type."""

    def write_adapter(self, folder: Path, recipe: Recipe, into: Path) -> None:
        """An adapter of the recipe's shape, of zeros, in PEFT's layout."""

    def our_token(
        self, folder: Path, recipe: Recipe, adapters: Sequence[Path], voices: Sequence[int]
    ) -> dict[str, Any]:
        """A decoded token of several answers at once, each by a voice, as `Generator.stream` has them."""

    def stock_token(self, folder: Path, recipe: Recipe, adapted: bool) -> dict[str, Any]:
        """A decoded token of the stock library, with an adapter of the recipe's shape or without."""
