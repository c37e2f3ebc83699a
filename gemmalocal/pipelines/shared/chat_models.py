"""Who speaks in a chat: runs and their base models to voices, as few copies of weights in memory as may be."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gemmalocal.backends import BACKENDS, installed, open_backend
from gemmalocal.data import layout
from gemmalocal.data.layout import Layout
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.engine import checkpoints
from gemmalocal.engine.generation import RowTemplate, Voice
from gemmalocal.errors import ModelError
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Notice, Stage
from gemmalocal.pipelines.shared.background import beside
from gemmalocal.recipe.schema import Recipe
from gemmalocal.weights.locate import locate


class Weights(NamedTuple):
    """What one generator holds: a model folder, as which numbers, and the engine."""

    folder: Path
    dtype: str
    bits: int | None
    engine: str


@dataclass
class Seat:
    """A voice before its weights are in memory."""

    name: str
    weights: Weights
    adapter: Path | None
    tokenizer: Tokenizer
    layout: Layout
    template: RowTemplate


def seat(spec: list[dict[str, Any]]) -> Generator[Event, None, list[Voice]]:
    """The voices of a chat's spec, each {"name", "run"} and "base" (true: the run's base model) or "step".

    Raises `ModelError`, `UnknownRun`, `BackendUnavailable`.
    """
    yield Stage("finding the models")
    seats: list[Seat] = []
    for entry in spec:
        seats.append((yield from _seat(entry)))
    yield Stage("loading the weights")
    copies = list(dict.fromkeys(one.weights for one in seats))
    if len(copies) > 1:
        of = "; ".join(", ".join(one.name for one in seats if one.weights == copy) for copy in copies)
        yield Notice(f"{len(copies)} sets of weights are in memory, since these share none: {of}")
    found: dict[str, Voice] = {}
    for copy in copies:
        found |= {voice.name: voice for voice in _loaded(copy, [one for one in seats if one.weights == copy])}
    return [found[one.name] for one in seats]


def _seat(entry: dict[str, Any]) -> Generator[Event, None, Seat]:
    run = history.find_run(entry["run"])
    recipe = Recipe.model_validate(history.spec(run))
    folder: Path = yield from beside(lambda tell: locate(recipe.model, tell))
    adapter = None if entry.get("base") else _result(run, entry.get("step"), recipe)
    if adapter and recipe.method == "full":
        folder, adapter = adapter, None
    rows = run / "examples"
    tokenizer = layout.tokenizer(folder, recipe.data, rows)
    weights = Weights(folder, recipe.weight_dtype, recipe.bits, _engine(recipe))
    laid_out = layout.remembered(rows, recipe.data, tokenizer)
    return Seat(entry["name"], weights, adapter, tokenizer, laid_out, recipe.data.template)


def _result(run: Path, step: int | None, recipe: Recipe) -> Path:
    """What a run has learned: its adapter, or its whole model; of a `step` or of a run under way, a checkpoint's."""
    full = recipe.method == "full"
    result = run / ("model" if full else "adapter")
    kept = [] if full else checkpoints.existing(run / "checkpoints")
    if step is None and result.is_dir():
        return result
    if step is None and kept and int(kept[-1].name):
        return checkpoints.checked(kept[-1])
    for checkpoint in kept:
        if int(checkpoint.name) == step:
            return checkpoints.checked(checkpoint)
    if full and step is not None:
        raise ModelError(f"{run.name} is a full fine-tune: only its result can speak.", f"Leave @{step} out.")
    steps = ", ".join(str(int(one.name)) for one in kept if int(one.name))
    what = f"has no checkpoint of step {step}" if step is not None else "has nothing to speak with yet"
    raise ModelError(f"{run.name} {what}.", f"It has those of steps {steps}." if steps else "Wait for its first one.")


def _loaded(weights: Weights, seats: Sequence[Seat]) -> Iterator[Voice]:
    folders = list(dict.fromkeys(one.adapter for one in seats if one.adapter))
    generator = open_backend(weights.engine).generator(weights.folder, folders, weights.dtype, weights.bits)
    for one in seats:
        number = folders.index(one.adapter) + 1 if one.adapter else 0
        yield Voice(one.name, generator, number, one.tokenizer, one.layout, one.template)


def _engine(recipe: Recipe) -> str:
    """The engine that the recipe names, if it is installed here; else the one that is at home here.

    Adapters cross, so a run that was trained elsewhere can speak; but each engine rounds quantized weights in its own
    way, and an adapter fits those best that it was trained on.
    """
    named = recipe.backend if recipe.backend in BACKENDS and installed(recipe.backend) else "auto"
    return open_backend(named).name
