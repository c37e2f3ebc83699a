"""What there is to say of a recipe's rows once they are read: problems, statistics, and rows as they are supervised."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from gemmalocal.data.examples import decode_example
from gemmalocal.data.lint import Lint
from gemmalocal.data.token_store import Examples
from gemmalocal.data.tokenizer import TURN_ENDS, TURN_STARTS
from gemmalocal.errors import DatasetError
from gemmalocal.jobs.events import Event, Notice, Report
from gemmalocal.pipelines.shared.loading import Prepared, RecordCheck, positions, prepare
from gemmalocal.recipe.schema import NO_TEMPLATE, Recipe

LONGEST, TAIL = 4096, 512  # tokens of a row that are shown at most, and those of its end among them


def survey(recipe: Recipe, prepared: Prepared, store: Path) -> Generator[Event, None, dict[str, Any]]:
    """Read a recipe's rows into the folder `store`, filling `prepared`; return their counts and problems as a report.

    Where none can be trained on, the problems are reported before the `DatasetError` is raised.
    """
    lint: Lint | None = None

    def look(in_turns: bool) -> RecordCheck:
        nonlocal lint
        assert prepared.tokenizer is not None
        control = prepared.tokenizer.control_tokens
        if recipe.data.chat_template == NO_TEMPLATE:  # then the marks of turns are meant
            control -= {prepared.tokenizer.bos, prepared.tokenizer.eos, *TURN_STARTS, *TURN_ENDS}
        lint = Lint(prepared.findings, recipe.data.max_length, in_turns, control, positions(prepared.folder))
        return lint

    try:
        for event in prepare(recipe, prepared, store, weights=False, look=look):
            if not isinstance(event, Notice):  # the report says it all
                yield event
    except DatasetError:
        yield Report({"model": recipe.model, "problems": prepared.findings.report()})
        raise
    assert lint is not None
    lint.close()
    assert prepared.records is not None
    return {
        "model": recipe.model,
        "shape": " and ".join(prepared.records.shapes),
        "train": statistics(prepared.train),
        "held_out": statistics(prepared.held_out),
        "duplicates": prepared.records.duplicates,
        "long_rows": {"max_length": recipe.data.max_length, "split": prepared.split, "do": recipe.data.long_rows},
        "left_out": prepared.findings.left_out,
        "notes": [*prepared.records.notes(odd=False), *filter(None, [prepared.remark])],
        "problems": prepared.findings.report(),
    }


def page(prepared: Prepared, examples: Examples) -> list[dict[str, Any]]:
    """Rows as they are trained: where each came from, its text in pieces (supervised or not), and its tokens.

    Of a row of more than `LONGEST` tokens the middle is not shown, only counted as `hidden`.
    """
    assert prepared.tokenizer is not None
    rows = []
    for source, example in zip(examples.sources(len(examples)), examples, strict=True):
        hidden = max(0, len(example.ids) - LONGEST)
        pieces = decode_example(example.part(0, LONGEST - TAIL if hidden else None), prepared.tokenizer)
        row = {"source": source, "pieces": pieces, "tokens": len(example.ids), "supervised": example.supervised}
        row |= {"cut": example.cut, "hidden": hidden}
        rows.append(row | {"end": decode_example(example.part(-TAIL, None), prepared.tokenizer)} if hidden else row)
    return rows


def statistics(examples: Examples) -> dict[str, Any]:
    """Counts of rows and tokens, and the spread of row lengths in tokens; 0 without rows."""
    lengths = examples.lengths if len(examples) else np.zeros(1, np.int64)
    return {
        "rows": len(examples),
        "tokens": int(lengths.sum()),
        "supervised_tokens": examples.supervised,
        "cut": examples.cut,
        "length_median": int(np.median(lengths)),
        "length_p95": int(np.percentile(lengths, 95)),
        "length_max": int(lengths.max()),
        "histogram": histogram(examples.lengths),
    }


def histogram(lengths: np.ndarray[Any, np.dtype[np.int64]]) -> list[list[int]]:
    """Rows by length, in bins that double: [shortest, longest, rows] of each from the first to the last in use.

    `lengths` is (rows,), in tokens, each at least 1.
    """
    if not len(lengths):
        return []
    bins = np.ceil(np.log2(lengths)).astype(int)  # bin b holds lengths from 2 ** (b - 1) + 1 to 2 ** b
    counts = np.bincount(bins)
    return [[2**b // 2 + 1 if b else 1, 2**b, int(counts[b])] for b in range(int(bins.min()), len(counts))]
