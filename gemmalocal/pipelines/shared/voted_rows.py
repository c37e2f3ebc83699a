"""The votes of chats to a dataset directory, each prompt as the model met it; no model is asked for it."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gemmalocal.data import token_store
from gemmalocal.data.dataset import held_out_mask
from gemmalocal.engine.generation import as_row_begins
from gemmalocal.errors import DatasetError, GemmalocalError
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Finished, Notice, Report, Stage
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.recipe.schema import Recipe
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import dataset_rows, datasets, votes
from gemmalocal.workspace.dataset_rows import DatasetRow


def make(preparation: Preparation, directory: Path) -> Iterator[Event]:
    """Write the dataset, with what a person changed in it; raises `DatasetError` where nothing was voted for."""
    yield Stage("reading the votes")
    chats, rows, lost = votes.chats(preparation.sources), list[DatasetRow](), Counter[str]()
    known = set[int]()
    for chat in chats:
        for vote in votes.of_chat(chat):
            row = vote.row if vote.lost else {**vote.row, "prompt": _as_met(vote, chat)}
            if vote.lost or dataset_rows.key(row) in known:
                lost[vote.lost or "repeats an earlier vote"] += 1
                continue
            known.add(dataset_rows.key(row))
            rows.append(row)
    if not rows:
        why = "; ".join(f"{count} votes: the row {reason}" for reason, count in lost.items())
        raise DatasetError(f"No vote that can be learned from was found in {len(chats)} chats.", why or votes.VOTE)
    report = _deliver(preparation, directory, rows, lost, len(chats))
    yield from map(Notice, _sentences(rows, report, len(chats)))
    if run := votes.newest_run(chats):
        yield Notice(f"to learn from them: {_command(directory, run)}")
    yield Report(report)
    counts = f"{report['train']['rows']} rows in {TRAIN_FILE}, {report['held_out']['rows']} in {HELD_OUT_FILE}"
    yield Finished("done", counts)


def _as_met(vote: votes.Vote, chat: Path) -> list[dict[str, str]]:
    """The prompt of a row as the voice met it: of one that was trained on no chats, as its rows begin."""
    prompt: list[dict[str, str]] = vote.row["prompt"]
    runs = votes.runs(chat)
    if vote.form == "chat" or vote.voice >= len(runs):
        return prompt
    template, between = row_layout(runs[vote.voice])
    text = as_row_begins(prompt[-1]["content"], template) + (between if vote.form == "prompt" else "")
    return [*prompt[:-1], {"role": "user", "content": text}]


@cache
def row_layout(run: Path) -> tuple[Any, str]:
    """The template of a run's rows, and what stands after their prompts."""
    recipe, _ = recipe_file.from_tree(history.known_spec(run), Recipe)
    try:
        between = str(token_store.about(run / "examples")["between"])
    except GemmalocalError:
        between = ""
    return (recipe.data.template if recipe else None), between


def _deliver(
    preparation: Preparation, directory: Path, rows: Sequence[DatasetRow], lost: Counter[str], chats: int
) -> dict[str, Any]:
    """Write the rows by side, a prompt on one alone, and count them."""
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
        "author": "votes",
        "documents": chats,
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


def _sentences(rows: Sequence[DatasetRow], report: dict[str, Any], chats: int) -> Iterator[str]:
    pairs = [row for row in rows if "chosen" in row]
    yield f"votes of {chats} chats: {len(pairs)} pairs, {len(rows) - len(pairs)} answers that are rated good or bad"
    if best := Counter(row["chosen_by"] for row in pairs).most_common():
        yield f"best: {', '.join(f'{name} {count}' for name, count in best)}"
    for reason, count in report["rejected"].items():
        yield f"{count} votes give no row: it {reason}"


def _command(dataset: Path, run: Path) -> str:
    """What trains on the votes from the run that they are about, with its model and the shape of its adapter."""
    settings = votes.settings(run)
    lora = {
        f"lora.{name}": value if isinstance(value, int | float | str) else json.dumps(value)
        for name, value in settings.pop("lora", {}).items()
    }
    path = {"data.path": dataset.name} if dataset.name != votes.DATASET else {}
    words = (f"--set {shlex.quote(f'{name}={value}')}" for name, value in (settings | path | lora).items())
    return " ".join(["gemmalocal train prefer-votes", *words])
