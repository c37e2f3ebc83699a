"""A step with a teacher whose words are on the disk against a plain step on the same rows: time and memory.

    python -m benchmarks.distillation MODEL_DIR [mlx | torch] [STEPS] [plain | taught]

Four rows a step, of about 200 tokens, LoRA of rank 8 on seven projections, 32 ids a token. Steps of both kinds are
taken in turn, so that what slows the machine slows both. With the last word only one kind is, and the peak of the
process's memory is its own. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.planted_preference import write_long
from benchmarks.preferences import BATCH, LENGTH, peak

KEEP = 32


def ours(model: Path, engine: str, rows: Path, steps: int, kinds: list[str]) -> dict[str, Any]:
    """Seconds of a step of each kind."""
    from gemmalocal.backends import open_backend
    from gemmalocal.data.batches import batch, batch_indices, plan, rounds
    from gemmalocal.data.taught_store import TaughtStore, row_key, shards
    from gemmalocal.engine.distillation import Distillation, Lessons, Settings
    from gemmalocal.engine.shares import predicted
    from gemmalocal.pipelines.shared.loading import Prepared, prepare
    from gemmalocal.recipe.schema import Recipe

    recipe = Recipe.model_validate(
        {
            "model": str(model),
            "data": {"path": str(rows), "split": 0, "max_length": LENGTH},
            "train": {"steps": steps, "batch_size": BATCH, "learning_rate": 1e-5},
        }
    )
    prepared = Prepared()
    list(prepare(recipe, prepared, rows.parent / "examples"))
    train, random = prepared.train, np.random.default_rng(0)
    store = TaughtStore(rows.parent, KEEP)
    for shard in shards(train, [row_key(row) for row in train]):
        counts = [predicted(train[place]) for place in shard.places]
        logp = -np.sort(random.gamma(1, 3, (sum(counts), KEEP)) + 3, axis=1)
        store.add(shard, counts, random.integers(0, 262_144, logp.shape), logp, np.full(len(logp), -1.0))
    trainer = open_backend(engine).trainer(model, recipe)
    lessons = Lessons.of(train, store, lambda row: row)
    guide = Distillation(Settings(0.0, 0.1), lessons, lessons, train, None)

    def taught(number: int) -> None:
        told = guide.accumulate(batch_indices(len(train), BATCH, 0, number), trainer)
        trainer.apply(1e-5, told.judged)

    def plain(number: int) -> None:
        for parts in rounds(plan(batch(train, BATCH, 0, number), trainer.shapes), trainer.shapes.streams):
            trainer.accumulate(parts)
        trainer.apply(1e-5)

    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(steps):
        for kind in kinds:
            start = time.perf_counter()
            (taught if kind == "taught" else plain)(number)
            seconds[kind].append(time.perf_counter() - start)
    medians = {kind: round(median(of_kind[1:]), 3) for kind, of_kind in seconds.items()}
    by_plain = {"by_plain": round(medians["taught"] / medians["plain"], 3)} if len(kinds) == 2 else {}
    return {"trainer": f"ours, {engine}", "seconds_a_step": medians, **by_plain, "peak_bytes": peak()}


def main() -> None:
    """Measure."""
    model, engine = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "mlx"
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 6
    with tempfile.TemporaryDirectory() as folder:
        pairs, rows = Path(folder) / "pairs.jsonl", Path(folder) / "rows.jsonl"
        write_long(pairs)
        of_pairs = [json.loads(line) for line in pairs.read_text().splitlines()]
        chosen = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in of_pairs]
        rows.write_text("".join(json.dumps(row) + "\n" for row in chosen))
        print(json.dumps(ours(model, engine, rows, steps, sys.argv[4:] or ["plain", "taught"])))


if __name__ == "__main__":
    main()
