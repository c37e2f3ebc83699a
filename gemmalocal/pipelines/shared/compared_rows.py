"""Rows that compare or rate answers to a dataset directory, each prompt as the model met it and on one side alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gemmalocal.data import token_store
from gemmalocal.data.dataset import held_out_mask
from gemmalocal.engine.generation import as_row_begins
from gemmalocal.errors import DatasetError, GemmalocalError
from gemmalocal.jobs import history
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.recipe.schema import Recipe
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import dataset_rows, datasets
from gemmalocal.workspace.dataset_rows import DatasetRow


def as_met(prompt: list[dict[str, str]], run: Path, form: str) -> list[dict[str, str]]:
    """A prompt as a run's model meets it: of one that was trained on no chats (`form`), as its rows begin."""
    if form == "chat":
        return prompt
    template, between = _row_layout(run)
    text = as_row_begins(prompt[-1]["content"], template) + (between if form == "prompt" else "")
    return [*prompt[:-1], {"role": "user", "content": text}]


@cache
def _row_layout(run: Path) -> tuple[Any, str]:
    """The template of a run's rows, and what stands after their prompts."""
    recipe, _ = recipe_file.from_tree(history.known_spec(run), Recipe)
    try:
        between = str(token_store.about(run / "examples")["between"])
    except GemmalocalError:
        between = ""
    return (recipe.data.template if recipe else None), between


def deliver(
    preparation: Preparation, directory: Path, rows: Sequence[DatasetRow], lost: Counter[str], about: dict[str, Any]
) -> dict[str, Any]:
    """Write the rows by side, with what a person changed in them, and count them; the report, with `about` in it."""
    keys = np.array([dataset_rows.record(row).key for row in rows], np.uint64)
    measured = held_out_mask(keys, preparation.held_out)
    hand = datasets.by_hand(directory)
    files = datasets.decided(directory, hand, {dataset_rows.key(row) for row in rows})
    sides = {TRAIN_FILE: list[DatasetRow](), HELD_OUT_FILE: list[DatasetRow](), datasets.REJECTED: list[DatasetRow]()}
    for row, is_held_out in zip(rows, measured.tolist(), strict=True):
        if dataset_rows.key(row) in hand.dropped:
            sides[datasets.REJECTED].append({**row, "reason": datasets.DROPPED, "held_out": is_held_out})
        else:
            sides[HELD_OUT_FILE if is_held_out else TRAIN_FILE].append(hand.mended(row))
    if not sides[TRAIN_FILE] and not files[TRAIN_FILE]:
        raise DatasetError("No row is left to train on.", "Take back some that you dropped: gemmalocal accept.")
    whole = {name: sides[name] + files[name] for name in sides}
    report = {
        "task": preparation.task,
        **about,
        "rejected": dict(lost.most_common()),
        "split": "by their prompts",
        "train": _counts(whole[TRAIN_FILE]),
        "held_out": _counts(whole[HELD_OUT_FILE]),
    }
    datasets.write(directory, whole, report)
    return report


def _counts(rows: Sequence[DatasetRow]) -> dict[str, int]:
    """Of one side: the tokens are those of the answers as they were given."""
    pairs = sum("chosen" in row for row in rows)
    return {"rows": len(rows), "pairs": pairs, "tokens": sum(row.get("tokens", 0) for row in rows)}
