"""Our trainer, or the engine's stock one, on the same rows: the figures that `gemmalocal bench` puts side by side."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from gemmalocal.backends import open_backend
from gemmalocal.backends.protocol import Backend, Trainer
from gemmalocal.data.batches import BatchShape, batch, largest, longest, plan, rounds
from gemmalocal.data.dataset import Records
from gemmalocal.data.examples import Example, to_examples
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.jobs.events import Event, Finished, Progress, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.pipelines.shared.budget import budget
from gemmalocal.pipelines.shared.word_problems import bench_recipe, word_problems
from gemmalocal.planning.memory import Estimate, Load
from gemmalocal.recipe.data_spec import DataSpec
from gemmalocal.recipe.schema import Recipe
from gemmalocal.weights.locate import locate

BATCH, MADE_UP, LONGEST = 4, 120, 1024


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """`spec`: model, backend, dtype, rows (or None), steps, and who trains: ours or stock."""
    yield Stage(f"preparing ({spec['who']})")
    folder = locate(spec["model"], lambda *what: None)
    tokenizer = Tokenizer(folder)
    records = Records(DataSpec(path=spec["rows"])) if spec["rows"] else word_problems(MADE_UP)
    candidates = (example for _, row_examples in to_examples(records, tokenizer, LONGEST) for example in row_examples)
    examples = [example for example in candidates if isinstance(example, Example)]
    backend = open_backend(spec["backend"])
    yield Stage(f"training ({spec['who']})")
    if spec["who"] == "stock":
        pairs = [(example.ids.tolist(), len(example.ids) - example.supervised) for example in examples]
        yield Report(backend.train_baseline(folder, pairs, BATCH, spec["steps"], LONGEST))
        yield Finished("done")
        return
    recipe = bench_recipe(folder, spec["steps"], BATCH, LONGEST, spec["dtype"])
    trainer = backend.trainer(folder, recipe)
    trainer.memory()  # loading is not counted
    figures: dict[str, Any] = {}
    yield from measure(trainer, examples, spec["steps"], figures)
    limits = backend.probe()
    figures |= {"limit_gflops": limits["gflops"], "device": limits["device"], "engine": backend.name}
    figures["planned_bytes"] = planned(recipe, folder, examples, backend)
    figures["loss_by_full_logits"] = trainer.full_logits_loss(plan(batch(examples, BATCH, 0, 0), trainer.shapes))
    yield Report(figures)
    yield Finished("done")


def planned(recipe: Recipe, folder: Path, examples: list[Example], backend: Backend) -> int:
    """The peak that the fit plan's arithmetic expects of `measure`, whatever was measured on this machine before."""

    def load(shapes: BatchShape) -> Load:
        return Load(largest(examples, BATCH, 0, shapes, None), longest(examples, shapes), shapes.streams)

    choice = {"checkpointing": False, "limit": backend.shapes().limit}
    plan = budget(recipe, folder, load, backend, choice).plan
    return Estimate(**{field.name: plan[field.name] for field in fields(Estimate)}).total


def measure(trainer: Trainer, examples: list[Example], steps: int, figures: dict[str, Any]) -> Iterator[Event]:
    """Train `steps` batches; fill `figures` with speed (the first step left out), peak, useful work, first loss."""
    tokens = real = 0
    start = 0.0
    peak = 0
    for step in range(steps):
        if step == 1:
            start = time.perf_counter()
        rows = batch(examples, BATCH, 0, step)
        for parts in rounds(plan(rows, trainer.shapes), trainer.shapes.streams):
            trainer.accumulate(parts)
        update = trainer.apply(1e-4)
        peak = max(peak, trainer.memory().peak)
        figures.setdefault("loss", update.loss)
        if step:
            tokens += update.tokens
            real += sum(len(row.ids) - 1 for row in rows)
        yield Progress("training", step + 1, steps)
    seconds = time.perf_counter() - start
    body, head = trainer.work()
    figures |= {
        "trainer": "gemmalocal",
        "tokens": tokens,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds,
        "peak_bytes": peak,
        "gflops": (real * body + tokens * head) / seconds / 1e9,
    }
