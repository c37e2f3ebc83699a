"""What a recipe would train on, without loading the weights: problems, statistics, and rows as they are supervised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gemmalocal import machine
from gemmalocal.backends import open_backend
from gemmalocal.data.examples import Example, pieces
from gemmalocal.events import Event, Finished, Report
from gemmalocal.pipelines.prepared import Prepared, budget, prepare
from gemmalocal.pipelines.train import steps
from gemmalocal.recipe import Recipe

SHOWN = 3


def run(spec: dict[str, Any], directory: Path, commands: Callable[[], list[dict[str, Any]]]) -> Iterator[Event]:
    """Report on the rows of the recipe `spec`."""
    recipe = Recipe.model_validate(spec)
    ready = Prepared()
    yield from prepare(recipe, ready, weights=False)
    rows, tokenizer = ready.rows, ready.tokenizer
    assert rows is not None
    assert tokenizer is not None
    usable = {example.source for example in ready.train}
    shown = [record for record in rows.train if record.source in usable][:SHOWN]
    decided, expected = budget(recipe, ready, open_backend(recipe.backend))
    yield Report(
        {
            "model": recipe.model,
            "shape": rows.shape,
            "train": statistics(ready.train),
            "held_out": statistics(ready.held_out),
            "steps": steps(recipe, len(ready.train)),
            "memory": {**asdict(expected), "total": expected.total, "machine": machine.probe()["memory"]},
            "checkpointing": decided.train.checkpointing,
            "duplicates": rows.duplicates,
            "rejected": [[item.source, item.reason] for item in rows.rejected[:50]],
            "rejected_count": len(rows.rejected),
            "rows": [{"source": record.source, "pieces": pieces(record, tokenizer)} for record in shown],
        }
    )
    yield Finished("done")


def statistics(examples: list[Example]) -> dict[str, Any]:
    """Counts of rows and tokens, and the spread of row lengths in tokens."""
    lengths = np.array([len(example.ids) for example in examples] or [0])
    return {
        "rows": len(examples),
        "tokens": int(lengths.sum()),
        "supervised_tokens": sum(example.supervised for example in examples),
        "cut": sum(example.cut for example in examples),
        "length_median": int(np.median(lengths)),
        "length_p95": int(np.percentile(lengths, 95)),
        "length_max": int(lengths.max()),
    }
