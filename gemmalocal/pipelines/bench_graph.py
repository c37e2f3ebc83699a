"""What a step asks of a GPU, ours and the stock trainer's, counted without one: `gemmalocal bench --graph`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gemmalocal.backends import open_graph_counter
from gemmalocal.data.examples import Example
from gemmalocal.jobs.events import Event, Finished, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.word_problems import bench_recipe
from gemmalocal.weights import hollow
from gemmalocal.weights.locate import locate

ROWS, LENGTH, SUPERVISED = 4, 64, 32


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """`spec`: model (None is one of Gemma 3 270M's shapes, without weights), dtype, sizes (of such a one)."""
    counter = open_graph_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if spec["model"]:
            folder = locate(spec["model"], lambda *what: None)
        else:
            hollow.write(folder, **spec.get("sizes", {}))
        recipe = bench_recipe(folder, 1, ROWS, LENGTH, spec["dtype"])
        yield Stage("counting (ours)")
        ours = counter.our_step(folder, recipe, rows())
        yield Stage("counting (stock)")
        stock = counter.stock_step(folder, recipe, rows())
    yield Report({"ours": ours, "stock": stock, "ratio": ours["launches"] / stock["launches"]})
    yield Finished("done")


def rows() -> list[Example]:
    """Rows of made-up ids, the second half of each supervised: a graph depends on their lengths alone."""
    weights = np.array([0] * (LENGTH - SUPERVISED) + [1] * SUPERVISED, np.float32)
    return [Example(np.arange(number, number + LENGTH, dtype=np.int32), weights, "made up") for number in range(ROWS)]
