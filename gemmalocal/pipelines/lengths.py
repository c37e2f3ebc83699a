"""One training step on one row of a given length, ours or the stock trainer's: what memory it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gemmalocal.backends import open_backend
from gemmalocal.backends.protocol import Backend
from gemmalocal.data.batches import plan
from gemmalocal.data.examples import Example
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.jobs.events import Event, Finished, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.budget import budget
from gemmalocal.pipelines.shared.word_problems import bench_recipe, word_problems
from gemmalocal.planning import memory
from gemmalocal.weights.locate import locate

SHORTEST_PROBLEM = 40  # tokens


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """`spec`: model, backend, length (tokens that are predicted), who (ours or stock), checkpointing or not."""
    yield Stage(f"{spec['length']} tokens{', checkpointed' * spec['checkpointing']} ({spec['who']})")
    folder = locate(spec["model"], lambda *what: None)
    row = row_of(spec["length"] + 1, Tokenizer(folder))
    backend = open_backend(spec["backend"])
    if spec["who"] == "stock":
        ids: list[int] = row.ids.tolist()
        yield Report(backend.train_baseline(folder, [(ids, 0)], 1, 1, len(ids), spec["checkpointing"]))
    else:
        yield Report(one_step(backend, folder, row, spec["checkpointing"]))
    yield Finished("done")


def one_step(backend: Backend, folder: Path, row: Example, checkpointing: bool) -> dict[str, Any]:
    """Peak and seconds of bench's recipe on one row; and what `checkpointing: auto` would choose here."""
    recipe = bench_recipe(folder, steps=1, batch_size=1, max_length=len(row.ids))
    tokens = len(row.ids) - 1
    auto = budget(recipe, folder, lambda shapes: memory.Load(tokens, tokens), backend).recipe
    train = recipe.train.model_copy(update={"checkpointing": checkpointing})
    trainer = backend.trainer(folder, recipe.model_copy(update={"train": train}))
    trainer.memory()
    start = time.perf_counter()
    trainer.accumulate(plan([row], trainer.shapes))
    trainer.apply(1e-4)
    seconds = time.perf_counter() - start
    return {"peak_bytes": trainer.memory().peak, "seconds": seconds, "auto": auto.train.checkpointing is True}


def row_of(count: int, tokenizer: Tokenizer) -> Example:
    """Made-up word problems in a row of `count` tokens, all of them supervised."""
    problems = word_problems(1 + count // SHORTEST_PROBLEM)
    text = "\n\n".join(message.content for record in problems for message in record.messages)
    ids = np.array(tokenizer.encode(tokenizer.bos + text)[:count], np.int32)
    return Example(ids, np.ones(count, np.float32), "made up")
