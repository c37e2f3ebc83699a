"""What a recipe will take on this machine, before its rows are read: an upper bound of memory, and the time if known.

The `check` job counts the real rows; this is quick enough to answer while a recipe is being written.
"""

from __future__ import annotations

from dataclasses import dataclass

from gemmalocal.files import paths
from gemmalocal.jobs import history
from gemmalocal.planning import calibration, device_memory, memory, model_sizes, scoring_plan, throughput
from gemmalocal.planning.device_memory import DeviceMemory
from gemmalocal.planning.memory import Estimate, Load
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schema import Recipe
from gemmalocal.recipe.teacher import SELF


@dataclass(frozen=True)
class Outlook:
    """`peak` is None where the model's sizes are not known here."""

    peak: Estimate | None
    memory: DeviceMemory
    checkpointing: bool = False
    rows: int = 1  # at once
    longest_row: int = 0  # tokens of a row that would still fit, up to the recipe's limit
    seconds: float | None = None
    run: str = ""  # the past run that told the pace
    steps: int | None = None  # that fit a given time
    teacher: int | None = None  # bytes while a teacher reads, before the rest is loaded


def outlook(recipe: Recipe) -> Outlook:
    """The outlook if every row had `data.max_length` tokens; reads the newest past runs."""
    room = device_memory.of_engine(recipe.backend)
    seconds, steps, run = _time(recipe)
    sizes = model_sizes.sizes_of(recipe.model)
    engine = device_memory.engine_of(recipe.backend)
    teacher = _teacher(recipe, engine)
    if sizes is None:
        return Outlook(None, room, seconds=seconds, run=run, steps=steps, teacher=teacher)
    profile, (width, stream) = device_memory.profile_of(engine), _widths(recipe, engine)
    factors = calibration.corrections(engine, width)

    def expected(load: Load, checkpointing: bool) -> Estimate:
        plain = memory.estimate(sizes, recipe, load, width, checkpointing, engine=profile, stream=stream)
        return plain.corrected(factors[checkpointing])

    length = recipe.data.max_length
    for checkpointing, rows in _choices(recipe):
        peak = expected(Load(rows * length, length, rows), checkpointing)
        if peak.fits(room.usable):
            break
    longest = memory.most_tokens(lambda tokens: expected(Load(tokens, tokens), checkpointing), room.usable, length)
    return Outlook(peak, room, checkpointing, rows, longest, seconds, run, steps, teacher)


def _teacher(recipe: Recipe, engine: str) -> int | None:
    """Bytes that the recipe's teacher takes at most; None without one, or where its sizes are not known here."""
    if (name := recipe.teacher.model) is None:
        return None
    name = recipe.model if name == SELF else name
    runs = (paths.runs() / run for run in (name, name.rpartition("@")[0]) if run)
    bases = (history.known_spec(run).get("model") for run in runs)
    sizes = model_sizes.sizes_of(str(next(filter(None, bases), name)))
    if sizes is None:
        return None
    width, stream = _widths(recipe, engine)
    profile = device_memory.profile_of(engine)
    return scoring_plan.peak(sizes, recipe, width, stream, recipe.teacher.bits, profile)


def _choices(recipe: Recipe) -> list[tuple[bool, int]]:
    """Checkpointing and rows at once, the fastest first, as the recipe leaves them open."""
    choice = recipe.train.checkpointing
    rows = recipe.train.rows_at_once
    counts = [rows] if rows else sorted({recipe.train.batch_size, 1}, reverse=True)
    return [
        (checkpointing, count)
        for checkpointing in ([False, True] if choice == "auto" else [choice])
        for count in counts
    ]


def _widths(recipe: Recipe, engine: str) -> tuple[int, int]:
    """Bytes of a number in weights and in activations, as the engine here will have them."""
    dtype = recipe.weight_dtype
    if not memory.ENGINES[engine].on_cards:  # MLX, whose activations are in the weights' type
        auto = "bfloat16" if device_memory.mlx_on_gpu() else "float32"
        width = 4 if (auto if dtype == "auto" else dtype) == "float32" else 2
        return width, width
    card = device_memory.card_of(engine)
    if dtype == "auto":
        dtype = "float32" if card is None else "bfloat16" if card.bfloat16 else "float16"
    width = 4 if dtype == "float32" else 2
    on_gpu = card is not None or device_memory.on_apple_silicon()
    mixed = dtype == "float16" or not on_gpu  # torch's weights are narrow then, and no more
    return width, 4 if mixed else width


def _time(recipe: Recipe) -> tuple[float | None, int | None, str]:
    """Seconds, or steps of a given time, by the newest run of this model on the same rows, and its name."""
    pace, _ = throughput.pace_of_model(recipe.model)
    if pace is None or recipe.train.epochs is not None:
        return None, None, ""
    folder = paths.runs() / pace.run
    past, _ = recipe_file.from_tree(history.known_spec(folder), Recipe)
    if past is None:  # a run of another version
        return None, None, ""
    steps = history.read(folder).steps
    if past.data.path != recipe.data.path:
        return None, None, ""
    tokens = sum(step.tokens for step in steps) / len(steps) * recipe.train.rows_per_step / past.train.rows_per_step
    train = recipe.train
    if train.minutes is not None:
        return 60 * train.minutes, pace.steps(60 * train.minutes, tokens, train.evaluate_every, 0), pace.run
    return pace.estimate(train.steps or 1, tokens, 0, 0), None, pace.run
