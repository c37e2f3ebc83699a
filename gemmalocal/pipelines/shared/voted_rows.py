"""The votes of chats to a dataset directory, each prompt as the model met it; no model is asked for it."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gemmalocal.errors import DatasetError
from gemmalocal.jobs.events import Event, Finished, Notice, Read, Report, Stage
from gemmalocal.jobs.plurals import counted
from gemmalocal.pipelines.shared import compared_rows
from gemmalocal.pipelines.shared.prepare_report import counts
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.workspace import dataset_rows, votes
from gemmalocal.workspace.dataset_rows import DatasetRow


def make(preparation: Preparation, directory: Path) -> Iterator[Event]:
    """Write the dataset, with what a person changed in it; raises `DatasetError` where nothing was voted for."""
    yield Stage("reading the votes")
    chats, rows, lost = votes.chats(preparation.sources), list[DatasetRow](), Counter[str]()
    known = set[int]()
    for chat in chats:
        before = len(rows)
        for vote in votes.of_chat(chat):
            row = vote.row if vote.lost else {**vote.row, "prompt": _as_met(vote, chat)}
            if vote.lost or dataset_rows.key(row) in known:
                lost[vote.lost or "repeats an earlier vote"] += 1
                continue
            known.add(dataset_rows.key(row))
            rows.append(row)
        yield Read(str(chat), len(rows) - before)
    if not rows:
        why = "; ".join(f"{counted(count, 'vote')}: the row {reason}" for reason, count in lost.items())
        raise DatasetError(
            f"No vote that can be learned from was found in {counted(len(chats), 'chat')}.", why or votes.VOTE
        )
    about = {"author": "votes", "documents": len(chats)}
    report = compared_rows.deliver(preparation, directory, rows, lost, about)
    yield from map(Notice, _sentences(rows, report, len(chats)))
    if run := votes.newest_run(chats):
        yield Notice(f"to learn from them: {_command(directory, run)}")
    yield Report(report)
    yield Finished("done", counts(report))


def _as_met(vote: votes.Vote, chat: Path) -> list[dict[str, str]]:
    """The prompt of a row as the voice met it."""
    prompt: list[dict[str, str]] = vote.row["prompt"]
    runs = votes.runs(chat)
    return prompt if vote.voice >= len(runs) else compared_rows.as_met(prompt, runs[vote.voice], vote.form)


def _sentences(rows: Sequence[DatasetRow], report: dict[str, Any], chats: int) -> Iterator[str]:
    pairs = [row for row in rows if "chosen" in row]
    yield (
        f"votes of {counted(chats, 'chat')}: {counted(len(pairs), 'pair')}, "
        f"{counted(len(rows) - len(pairs), 'answer that is', 'answers that are')} rated good or bad"
    )
    if best := Counter(row["chosen_by"] for row in pairs).most_common():
        yield f"best: {', '.join(f'{name} {count}' for name, count in best)}"
    for reason, count in report["rejected"].items():
        yield f"{counted(count, 'vote gives', 'votes give')} no row: it {reason}"


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
