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
from gemmalocal.engine.generation import ChatModel, RowTemplate
from gemmalocal.errors import ModelError
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Notice, Stage
from gemmalocal.pipelines.shared.background import in_background
from gemmalocal.recipe.schema import Recipe
from gemmalocal.weights.locate import locate


class Weights(NamedTuple):
    """What one generator holds: a model folder, the dtype of its weights, their bits if quantized, and the engine."""

    folder: Path
    dtype: str
    bits: int | None
    engine: str


@dataclass
class ChatModelPlan:
    """A model of a chat before its weights are in memory."""

    name: str
    weights: Weights
    adapter: Path | None
    tokenizer: Tokenizer
    layout: Layout
    template: RowTemplate


def load_chat_models(spec: list[dict[str, Any]]) -> Generator[Event, None, list[ChatModel]]:
    """The models of a chat's spec, each {"name", "run"} and "base" (true: the run's base model) or "step".

    In place of what the run made: "adapter", the folder of another one in PEFT's layout; "export", the folder of a
    whole model, and "engine", which reads that.

    One copy of weights serves all models that share it. Raises `ModelError`, `UnknownRun`, `BackendUnavailable`.
    """
    yield Stage("finding the models")
    plans: list[ChatModelPlan] = []
    for entry in spec:
        plans.append((yield from _plan(entry)))
    yield Stage("loading the weights")
    copies = list(dict.fromkeys(plan.weights for plan in plans))
    if len(copies) > 1:
        of = "; ".join(", ".join(plan.name for plan in plans if plan.weights == copy) for copy in copies)
        yield Notice(f"{len(copies)} sets of weights are in memory, since these share none: {of}")
    remarks = [open_backend(engine).device_remark() for engine in dict.fromkeys(copy.engine for copy in copies)]
    yield from map(Notice, filter(None, remarks))
    models: dict[str, ChatModel] = {}
    for copy in copies:
        models |= {model.name: model for model in _load(copy, [plan for plan in plans if plan.weights == copy])}
    return [models[plan.name] for plan in plans]


def _plan(entry: dict[str, Any]) -> Generator[Event, None, ChatModelPlan]:
    run = history.find_run(entry["run"])
    recipe = Recipe.model_validate(history.spec(run))
    folder: Path = yield from in_background(lambda tell: locate(recipe.model, tell))
    rows = run / "examples"
    if export := entry.get("export"):
        tokenizer, adapter = layout.tokenizer(folder, recipe.data, rows), None
        weights = Weights(Path(export), recipe.dtype, None, entry["engine"])
    else:
        if entry.get("base"):
            adapter = None
        else:
            adapter = Path(entry["adapter"]) if "adapter" in entry else learned(run, entry.get("step"), recipe)
        if adapter and recipe.method == "full":
            folder, adapter = adapter, None
        tokenizer = layout.tokenizer(folder, recipe.data, rows)
        weights = Weights(folder, recipe.weight_dtype, recipe.bits, engine_of(recipe))
    laid_out = layout.remembered(rows, recipe.data, tokenizer)
    return ChatModelPlan(entry["name"], weights, adapter, tokenizer, laid_out, recipe.data.template)


def learned(run: Path, step: int | None, recipe: Recipe) -> Path:
    """What a run has learned: its adapter, or its whole model; of a `step` or of a run under way, a checkpoint's."""
    full = recipe.method == "full"
    result = run / ("model" if full else "adapter")
    saved = [] if full else checkpoints.existing(run / "checkpoints")
    if step is None and result.is_dir():
        return result
    if step is None and saved and int(saved[-1].name):
        return checkpoints.checked(saved[-1])
    for checkpoint in saved:
        if int(checkpoint.name) == step:
            return checkpoints.checked(checkpoint)
    if full and step is not None:
        raise ModelError(f"{run.name} is a full fine-tune: only its result can be asked.", f"Leave @{step} out.")
    steps = ", ".join(str(int(checkpoint.name)) for checkpoint in saved if int(checkpoint.name))
    problem = f"has no checkpoint of step {step}" if step is not None else "has nothing to ask yet"
    raise ModelError(
        f"{run.name} {problem}.", f"It has those of steps {steps}." if steps else "Wait for its first one."
    )


def _load(weights: Weights, plans: Sequence[ChatModelPlan]) -> Iterator[ChatModel]:
    folders = list(dict.fromkeys(plan.adapter for plan in plans if plan.adapter))
    generator = open_backend(weights.engine).generator(weights.folder, folders, weights.dtype, weights.bits)
    for plan in plans:
        number = folders.index(plan.adapter) + 1 if plan.adapter else 0
        yield ChatModel(plan.name, generator, number, plan.tokenizer, plan.layout, plan.template)


def engine_of(recipe: Recipe) -> str:
    """The engine that the recipe names, if it is installed here; else the one that is at home here.

    Adapters cross, so a run that was trained elsewhere can speak; but each engine rounds quantized weights in its own
    way, and an adapter fits those best that it was trained on.
    """
    named = recipe.backend if recipe.backend in BACKENDS and installed(recipe.backend) else "auto"
    return open_backend(named).name
