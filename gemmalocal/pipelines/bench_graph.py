"""What a step asks of a GPU, ours and the stock trainer's, counted without one: `gemmalocal bench --graph`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gemmalocal.backends import open_graph_counter
from gemmalocal.backends.protocol import GraphCounter
from gemmalocal.data.examples import Example
from gemmalocal.jobs.events import Event, Finished, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.word_problems import bench_recipe
from gemmalocal.recipe.schema import Recipe
from gemmalocal.weights import hollow
from gemmalocal.weights.locate import locate

ROWS, LENGTH, SUPERVISED = 4, 64, 32  # of each row: tokens that are predicted, and that are learned
ANSWERS = (1, 2, 3)


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """`spec`: model (None is one of Gemma 3 270M's shapes, without weights), dtype."""
    counter = open_graph_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if spec["model"]:
            folder = locate(spec["model"], lambda *what: None)
        else:
            hollow.write(folder)
        recipe = bench_recipe(folder, 1, ROWS, 1 + LENGTH, spec["dtype"])
        yield Stage("counting")
        yield Report(counts(counter, folder, recipe, Path(scratch)))
    yield Finished("done")


def counts(counter: GraphCounter, folder: Path, recipe: Recipe, scratch: Path) -> dict[str, Any]:
    """Of a training step and of a decoded token; adapters are written to `scratch`."""
    step = compared(counter.our_step(folder, recipe, rows()), counter.stock_step(folder, recipe, rows()))
    return {"step": step, "token": tokens(counter, folder, recipe, scratch)}


def compared(ours: dict[str, Any], stock: dict[str, Any]) -> dict[str, Any]:
    """Both, and the share of launches."""
    return {"ours": ours, "stock": stock, "ratio": ours["launches"] / stock["launches"]}


def tokens(counter: GraphCounter, folder: Path, recipe: Recipe, scratch: Path) -> dict[str, Any]:
    """A token of the base by both; then of an adapter by both, and by us of the base and adapters at once."""
    adapters = [scratch / "first", scratch / "second"]
    for adapter in adapters:
        adapter.mkdir()
        counter.write_adapter(folder, recipe, adapter)
    base = compared(counter.our_token(folder, recipe, (), [0]), counter.stock_token(folder, recipe, False))
    adapted = compared(counter.our_token(folder, recipe, adapters, [1]), counter.stock_token(folder, recipe, True))
    several = {count: counter.our_token(folder, recipe, adapters, range(count)) for count in ANSWERS[1:]}
    return {"base": base, "adapted": adapted, "several": several}


def rows() -> list[Example]:
    """Rows of made-up ids, the second half of each supervised: a graph depends on their lengths alone."""
    weights = np.array([0] * (1 + LENGTH - SUPERVISED) + [1] * SUPERVISED, np.float32)
    return [Example(np.arange(1 + LENGTH, dtype=np.int32), weights, "made up")] * ROWS
