"""What there is to say of a recipe's rows once they are read: problems, statistics, and rows as they are supervised."""

from __future__ import annotations

from collections.abc import Generator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from gemmalocal.data.dataset import Records
from gemmalocal.data.examples import Example, decode_example
from gemmalocal.data.findings import LEFT_OUT
from gemmalocal.data.lint import Lint
from gemmalocal.data.preferences import EQUAL
from gemmalocal.data.token_store import Examples
from gemmalocal.data.tokenizer import TURN_ENDS, TURN_STARTS, Tokenizer
from gemmalocal.errors import DatasetError
from gemmalocal.jobs.events import Event, Notice, Report
from gemmalocal.pipelines.shared.loading import Prepared, RecordCheck, positions, prepare
from gemmalocal.recipe.data_spec import NO_TEMPLATE, DataSpec
from gemmalocal.recipe.schema import Recipe
from gemmalocal.records import RowKind

LOOKED_AT = 200  # rows that tell what the others are
FEW, SAME_SIDE = 20, 0.8  # pairs that say nothing of length yet, and the share from which they do
LONGEST, TAIL = 4096, 512  # tokens of a row that are shown at most, and those of its end among them


def survey(
    recipe: Recipe, prepared: Prepared, store: Path, use: RowKind | None = None
) -> Generator[Event, None, dict[str, Any]]:
    """Read a recipe's rows into the folder `store`, filling `prepared`; return their counts and problems as a report.

    They are read for the recipe's objective, or for another `use`. Where none can be trained on, the problems are
    reported before the `DatasetError` is raised.
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
        for event in prepare(recipe, prepared, store, weights=False, look=look, use=use):
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
        "notes": [*prepared.records.notes(odd=False), *filter(None, [prepared.remark, _longer(prepared.train)])],
        "equal_answers": sum(kind.count for kind in prepared.findings.of(LEFT_OUT) if kind.kind == EQUAL),
        "problems": prepared.findings.report(),
    }


def kind_of_rows(data: DataSpec) -> RowKind:
    """What the first rows of a recipe's data are: all compare two answers, some rate one, or they are to be imitated.

    Raises `DatasetError` as `Records`.
    """
    kinds = {record.kind for record in islice(Records(data, use=None), LOOKED_AT)}
    return "" if "" in kinds else "pairs" if kinds == {"pairs"} else "rated"


def page(prepared: Prepared, examples: Examples) -> list[dict[str, Any]]:
    """Rows as they are trained: where each came from, its text in pieces (supervised or not), and its tokens.

    Of a row of more than `LONGEST` tokens the middle is not shown, only counted as `hidden`. A pair is one row, the
    chosen answer after the prompt; under `rejected` stands the same of the other answer alone. A rated row has its
    `label`.
    """
    assert prepared.tokenizer is not None
    rows = []
    for first, source in zip(
        range(0, len(examples), examples.group), examples.sources(len(examples))[:: examples.group], strict=True
    ):
        example = examples[first]
        row = {"source": source, **_shown(example, prepared.tokenizer)}
        if examples.kind == "pairs":
            border = int(example.weights.argmax())
            row["rejected"] = _shown(examples[first + 1].part(border, None), prepared.tokenizer)
        elif example.label is not None:
            row["label"] = example.label
        rows.append(row)
    return rows


def _shown(example: Example, tokenizer: Tokenizer) -> dict[str, Any]:
    hidden = max(0, len(example.ids) - LONGEST)
    pieces = decode_example(example.part(0, LONGEST - TAIL if hidden else None), tokenizer)
    row = {"pieces": pieces, "tokens": len(example.ids), "supervised": example.supervised}
    row |= {"cut": example.cut, "hidden": hidden}
    return row | {"end": decode_example(example.part(-TAIL, None), tokenizer)} if hidden else row


def statistics(examples: Examples) -> dict[str, Any]:
    """Counts of rows (or pairs) and tokens, and the spread of lengths in tokens, of each answer with its prompt.

    0 without rows. `judged` is what there is to know of answers that are compared or rated, if they are.
    """
    lengths = examples.lengths if len(examples) else np.zeros(1, np.int64)
    return {
        "rows": examples.groups,
        "tokens": int(lengths.sum()),
        "supervised_tokens": examples.supervised,
        "cut": examples.cut,
        "length_median": int(np.median(lengths)),
        "length_p95": int(np.percentile(lengths, 95)),
        "length_max": int(lengths.max()),
        "histogram": histogram(examples.lengths),
        "judged": judged(examples),
    }


def judged(examples: Examples) -> dict[str, Any]:
    """Of answers that are judged: how many, their median tokens by label, the share of pairs whose chosen is longer."""
    if examples.labels is None or not len(examples):
        return {}
    answers = [examples.learned[examples.labels == label] for label in (1, 0)]
    medians = [int(np.median(tokens)) if len(tokens) else 0 for tokens in answers]
    counts: dict[str, Any] = {"kind": examples.kind, "good": len(answers[0]), "bad": len(answers[1])}
    counts |= {"good_median": medians[0], "bad_median": medians[1]}
    if examples.kind == "pairs":
        counts["chosen_longer"] = round(float((answers[0] > answers[1]).mean()), 4)
    return counts


def _longer(train: Examples) -> str:
    """A sentence where a preference may be learned as a length."""
    share = judged(train).get("chosen_longer")
    if share is None or train.groups < FEW or 1 - SAME_SIDE < share < SAME_SIDE:
        return ""
    which = "longer" if share > 0.5 else "shorter or as long"
    percent = f"{100 * max(share, 1 - share):.0f} %"
    return f"in {percent} of the pairs the chosen answer is the {which} one: that may be all that is learned"


def histogram(lengths: np.ndarray[Any, np.dtype[np.int64]]) -> list[list[int]]:
    """Rows by length, in bins that double: [shortest, longest, rows] of each from the first to the last in use.

    `lengths` is (rows,), in tokens, each at least 1.
    """
    if not len(lengths):
        return []
    bins = np.ceil(np.log2(lengths)).astype(int)  # bin b holds lengths from 2 ** (b - 1) + 1 to 2 ** b
    counts = np.bincount(bins)
    return [[2**b // 2 + 1 if b else 1, 2**b, int(counts[b])] for b in range(int(bins.min()), len(counts))]
