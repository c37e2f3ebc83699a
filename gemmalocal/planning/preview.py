"""What a recipe will take on this machine, before its rows are read: an upper bound of memory, and the time if known.

The `check` job counts the real rows; this is quick enough to answer while a recipe is being written.
"""

from __future__ import annotations

from dataclasses import dataclass

from gemmalocal.files import paths
from gemmalocal.jobs import history
from gemmalocal.planning import calibration, hardware, memory, model_sizes, throughput
from gemmalocal.planning.memory import Estimate, Load
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.schema import Recipe


@dataclass(frozen=True)
class Outlook:
    """`peak` is None where the model's sizes are not known here; `memory` is the machine's, in bytes."""

    peak: Estimate | None
    memory: int
    checkpointing: bool = False
    rows: int = 1  # at once
    longest_row: int = 0  # tokens of a row that would still fit, up to the recipe's limit
    seconds: float | None = None
    run: str = ""  # the past run that told the pace


def outlook(recipe: Recipe) -> Outlook:
    """The outlook if every row had `data.max_length` tokens; reads the newest past runs."""
    ram: int = hardware.probe()["memory"]
    seconds, run = _time(recipe)
    sizes = model_sizes.sizes_of(recipe.model)
    if sizes is None:
        return Outlook(None, ram, seconds=seconds, run=run)
    width = _width(recipe)
    engine = recipe.backend if recipe.backend in memory.ENGINES else next(iter(memory.ENGINES))
    factors = calibration.corrections(engine, width)

    def expected(load: Load, checkpointing: bool) -> Estimate:
        return memory.estimate(sizes, recipe, load, width, checkpointing, engine=engine).corrected(
            factors[checkpointing]
        )

    length = recipe.data.max_length
    for checkpointing, rows in _choices(recipe):
        peak = expected(Load(rows * length, length, rows), checkpointing)
        if peak.fits(ram):
            break
    longest = memory.most_tokens(lambda tokens: expected(Load(tokens, tokens), checkpointing), ram, length)
    return Outlook(peak, ram, checkpointing, rows, longest, seconds, run)


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


def _width(recipe: Recipe) -> int:
    """Bytes of a number: as stored (two) on a GPU, float32 on a CPU, unless the recipe says."""
    if recipe.weight_dtype == "auto":
        return 2 if hardware.probe()["system"] == "Darwin arm64" else 4
    return 4 if recipe.weight_dtype == "float32" else 2


def _time(recipe: Recipe) -> tuple[float | None, str]:
    """Seconds by the newest run of this model on the same rows, and its name; None without one."""
    pace, _ = throughput.pace_of_model(recipe.model)
    if pace is None or recipe.train.steps is None:
        return None, ""
    folder = paths.runs() / pace.run
    past, _ = recipe_file.from_tree(history.known_spec(folder), Recipe)
    if past is None:  # a run of another version
        return None, ""
    steps = history.read(folder).steps
    if past.data.path != recipe.data.path:
        return None, ""
    tokens = sum(step.tokens for step in steps) / len(steps) * recipe.train.rows_per_step / past.train.rows_per_step
    return pace.estimate(recipe.train.steps, tokens, 0, 0), pace.run
