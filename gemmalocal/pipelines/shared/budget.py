"""Before a run: the memory it will take on this machine, and what that decides (checkpointing, tokens at once)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gemmalocal.backends.protocol import Backend
from gemmalocal.data.batches import BatchShape, largest, longest
from gemmalocal.data.judged_rounds import largest_round
from gemmalocal.data.token_store import Examples
from gemmalocal.errors import ModelError
from gemmalocal.files.sizes import gigabytes
from gemmalocal.planning import calibration, memory, model_sizes
from gemmalocal.planning.device_memory import DeviceMemory
from gemmalocal.planning.memory import Estimate, Load
from gemmalocal.planning.model_sizes import Sizes
from gemmalocal.recipe.schema import Recipe

LONGEST = 131_072  # tokens of a row that are considered
HALVINGS = 5  # how often the tokens of a micro-batch are halved, if need be


@dataclass(frozen=True)
class Budget:
    """The recipe with checkpointing decided, the shapes of micro-batches that fit, and the peak to expect."""

    recipe: Recipe
    shapes: BatchShape
    expected: Estimate
    plan: dict[str, Any]  # the arithmetic alone, for `calibration`
    memory: DeviceMemory  # where it computes
    longest_row: int  # tokens of a row that would still fit

    @property
    def fits(self) -> bool:
        """Whether the peak is within what a run may take."""
        return self.expected.fits(self.memory.usable)

    def of(self, recipe: Recipe) -> Budget:
        """Of another recipe, that takes no more: what was decided for this one."""
        train = recipe.train.model_copy(update={"checkpointing": self.recipe.train.checkpointing})
        return replace(self, recipe=recipe.model_copy(update={"train": train}))

    def halved(self) -> Budget:
        """With half the tokens in a micro-batch; a row that is longer still goes alone."""
        limit = max(self.shapes.multiple, self.shapes.limit // 2)
        return replace(self, shapes=replace(self.shapes, limit=limit), plan=self.plan | {"limit": limit})

    def sentence(self) -> str:
        """What to expect, for a person, and what would be smaller if it may not fit."""
        checkpointing = ", with checkpointing" if self.recipe.train.checkpointing else ""
        memory = f"{gigabytes(self.memory.total)} GB of {self.memory.of}"
        text = f"expected peak {gigabytes(self.expected.total)} of {memory}{checkpointing}"
        if self.fits:
            return text
        room = f"rows of {self.longest_row} tokens would fit" if self.longest_row else "not even a short row fits"
        return f"{text}: it may not fit; {room} (data.max_length), or a smaller or quantized model"


def budget(
    recipe: Recipe,
    folder: Path,
    load: Callable[[BatchShape], Load],
    backend: Backend,
    before: dict[str, Any] | None = None,
    together: int = 0,
) -> Budget:
    """Decide what `checkpointing: auto` and `micro_batch: auto` mean here; `load` says what shapes lead to (`load_of`).

    `together` is the most tokens of answers that are judged together, which are computed at once if that fits.

    The first choice that fits is taken: whole micro-batches, half ones, checkpointing, then ever smaller ones. A run
    that goes on keeps what it decided `before` (its plan): other micro-batches would not give the same bits. If none
    fits, the last is taken. Raises `ModelError` for a folder without a text model.
    """
    sizes, bits = _model(folder)
    width, stream = backend.weight_bytes(recipe.weight_dtype), backend.activation_bytes(recipe.weight_dtype)
    room = backend.device_memory()
    factors = calibration.corrections(backend.name, width)
    profile = backend.memory_profile()

    def expected(load: Load, checkpointing: bool) -> tuple[Estimate, Estimate]:
        plain = memory.estimate(sizes, recipe, load, width, checkpointing, bits, profile, stream)
        return plain, plain.corrected(factors[checkpointing])

    choices = _choices(recipe, backend.shapes(), together)
    if before:
        choice = recipe.train.checkpointing
        was_checkpointing = before["checkpointing"] if choice == "auto" else choice
        choices = iter([(was_checkpointing, replace(backend.shapes(), limit=before["limit"]))])
    for checkpointing, shapes in choices:
        plain, peak = expected(load(shapes), checkpointing)
        if peak.fits(room.usable):
            break
    length = memory.most_tokens(lambda tokens: expected(Load(tokens, tokens), checkpointing)[1], room.usable, LONGEST)
    decided = recipe.model_copy(update={"train": recipe.train.model_copy(update={"checkpointing": checkpointing})})
    plan = {**asdict(plain), "engine": backend.name, "width": width}
    plan |= {"checkpointing": checkpointing, "limit": shapes.limit, "device_memory": room.total}
    return Budget(decided, shapes, peak, plan, room, length)


def weight_bytes(recipe: Recipe, folder: Path, backend: Backend) -> int:
    """Bytes of the weights in `folder` as an engine would hold them for a recipe; raises `ModelError`."""
    sizes, bits = _model(folder)
    width = backend.weight_bytes(recipe.weight_dtype)
    return memory.estimate(sizes, recipe, Load(1, 1), width, False, bits, backend.memory_profile()).weights


def load_of(examples: Examples, recipe: Recipe) -> Callable[[BatchShape], Load]:
    """By shapes of micro-batches, what a recipe has under way at once (in tokens), over its first batches."""
    train = recipe.train
    plan = largest if examples.group == 1 else largest_round

    def load(shapes: BatchShape) -> Load:
        end = train.rows_over(examples.groups)
        tokens = plan(examples, train.rows_per_step, train.seed, shapes, train.rows_at_once, end)
        return Load(tokens, longest(examples, shapes), shapes.streams)

    return load


def _choices(recipe: Recipe, shapes: BatchShape, together: int) -> Iterator[tuple[bool, BatchShape]]:
    choice, free = recipe.train.checkpointing, recipe.train.micro_batch == "auto"
    if free and shapes.streams == 1 and together > shapes.limit:
        yield choice is True, replace(shapes, limit=together)
    halved = [replace(shapes, limit=max(shapes.multiple, shapes.limit >> times)) for times in range(HALVINGS)]
    if not free:
        halved = halved[:1]
    if choice == "auto":
        yield from ((False, smaller) for smaller in halved[:2])
        yield from ((True, smaller) for smaller in halved)
    else:
        yield from ((choice, smaller) for smaller in halved)


def _model(folder: Path) -> tuple[Sizes, float | None]:
    """A model's sizes, and the bits of a weight if it is quantized; raises `ModelError` for no text model."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return model_sizes.from_config(config), (config.get("quantization") or {}).get("bits")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{folder}/config.json does not describe a text model that can be tuned ({error}).",
            "Give the folder or name of a Gemma 1, 2, 3 or 4.",
        ) from error
