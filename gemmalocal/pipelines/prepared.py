"""What training and checking share: a recipe's model folder, tokenizer and rows, told as events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gemmalocal import catalog, fit, machine
from gemmalocal.backends.protocol import Backend
from gemmalocal.data import dataset
from gemmalocal.data.batches import largest
from gemmalocal.data.examples import Example, to_examples
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.errors import DatasetError, ModelError
from gemmalocal.events import Event, Notice, Stage
from gemmalocal.fit import Estimate
from gemmalocal.pipelines.beside import beside
from gemmalocal.recipe import Recipe
from gemmalocal.weights.locate import locate


@dataclass
class Prepared:
    """Filled by `prepare`, one field after the other."""

    folder: Path = Path()
    tokenizer: Tokenizer | None = None
    rows: dataset.Dataset | None = None
    train: list[Example] = field(default_factory=list)
    held_out: list[Example] = field(default_factory=list)


def prepare(recipe: Recipe, into: Prepared, weights: bool = True) -> Iterator[Event]:
    """Find the model, read the rows, make examples; raises the errors of each."""
    yield Stage("finding the model")
    into.folder = yield from beside(lambda tell: locate(recipe.model, tell, weights))
    yield Stage("reading the rows")
    into.tokenizer = Tokenizer(into.folder, recipe.data.thinking)
    into.rows = rows = dataset.read(recipe.data)
    into.train, lost = to_examples(rows.train, into.tokenizer, recipe.data.max_length)
    into.held_out, lost_too = to_examples(rows.held_out, into.tokenizer, recipe.data.max_length)
    rows.rejected += lost + lost_too
    for text in rows.notices():
        yield Notice(text)
    cut = sum(example.cut for example in into.train + into.held_out)
    if cut:
        yield Notice(f"{cut} rows cut at {recipe.data.max_length} tokens")
    if not into.train:
        raise DatasetError("No row is left to train on.", "Raise data.max_length, or mend the rows.")


def budget(recipe: Recipe, ready: Prepared, backend: Backend) -> tuple[Recipe, Estimate]:
    """The recipe with `checkpointing: auto` decided for this machine, and the peak that is to be expected."""
    train = recipe.train
    tokens = largest(ready.train, train.rows_per_step, train.seed, backend.shapes(), train.rows_at_once)
    try:
        sizes = catalog.from_config(json.loads((ready.folder / "config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{ready.folder}/config.json does not describe a text model that can be tuned ({error}).",
            "Give the folder or name of a Gemma 1, 2 or 3 text model.",
        ) from error
    width = backend.weight_bytes(recipe.dtype)
    choice = train.checkpointing
    if choice == "auto":
        choice = fit.needs_checkpointing(sizes, recipe, tokens, width, machine.probe()["memory"])
    decided = recipe.model_copy(update={"train": train.model_copy(update={"checkpointing": choice})})
    return decided, fit.estimate(sizes, recipe, tokens, width, choice)
