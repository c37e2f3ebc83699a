"""Preparations as a front end handles them: begun or gone on with, and how one stands, folded out of its events."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemmalocal.errors import DatasetError
from gemmalocal.files import paths
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.events import Counted, Event, Read, Report, Started
from gemmalocal.jobs.history import JobState
from gemmalocal.records import TRAIN_FILE
from gemmalocal.workspace import datasets

if TYPE_CHECKING:  # pydantic is only loaded when a preparation is described
    from gemmalocal.recipe.prepare_schema import Preparation

PASSWORD = "GEMMALOCAL_PASSWORD"
OF_ROWS = ("rewrite", "pairs", "answers")  # tasks whose sources hold rows


@dataclass
class Preparing:
    """What is known of a preparation; `fold` is the only one to change it.

    `documents` are those of the newest attempt, `kept` and `rejected` (by reason) its rows so far, and `report` is
    there once it has come to its end.
    """

    job: JobState = field(default_factory=JobState)
    documents: list[Read] = field(default_factory=list)
    kept: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)


def fold(state: Preparing, event: Event) -> Preparing:
    """Take in one event; each attempt reads its documents anew."""
    history.fold(state.job, event)
    match event:
        case Started():
            state.documents, state.kept, state.rejected, state.report = [], 0, {}, {}
        case Read():
            state.documents.append(event)
        case Counted():
            state.kept, state.rejected = event.kept, event.rejected
        case Report():
            if _counts(event.data):
                state.report = event.data
                state.kept = sum(event.data[side]["rows"] for side in ("train", "held_out"))
                state.rejected = event.data["rejected"]
    return state


def _counts(data: dict[str, Any]) -> bool:
    """Whether a report is that of a preparation."""
    match data:
        case {"train": {"rows": int(), "tokens": int()}, "held_out": {"rows": int()}, "rejected": dict() as rejected}:
            silent = data.get("without_rows", {})
            counts = [*rejected.values(), *(silent.values() if isinstance(silent, dict) else "?")]
            return all(isinstance(count, int) for count in counts)
    return False


def begin(to: str, preparation: Preparation, password: str | None = None) -> processes.Job:
    """Start a preparation of the dataset `to` (a name, or a folder), or go on with one: what is known is not asked.

    The password of encrypted documents reaches the job by its environment, and its directory does not hold it.
    The job reads from where its events stand now. Raises `DatasetError`, `JobBusy`.
    """
    folder = datasets.folder_of(to)
    datasets.check_target(folder)
    sources = [_rows_of(source) for source in preparation.sources] if preparation.task in OF_ROWS else []
    sources = sources or preparation.sources
    check_sources(sources)
    spec = preparation.model_dump(mode="json")
    spec["sources"] = [absolute_source(source) for source in sources]
    if preparation.prompts:
        spec["prompts"] = absolute_source(preparation.prompts)
    if password is not None:
        os.environ[PASSWORD] = password
        spec["password_env"] = PASSWORD
    old = processes.Job(folder)
    old.skip()
    job = processes.start(folder, "prepare", spec)
    job.skip_to(old)
    return job


def _rows_of(source: str) -> str:
    """The folder of a dataset that was prepared here, by its name; any other source as it is."""
    folder = paths.datasets() / source
    return str(folder) if "/" not in source and (folder / TRAIN_FILE).is_file() else source


def check_sources(sources: Sequence[str]) -> None:
    """Raise `DatasetError` if there is nothing at any of them; addresses and hf: names are not looked at."""
    if not any(":" in source or paths.names_something(source) for source in sources):
        raise DatasetError(f"There is nothing at {' or '.join(sources)}.", "Check the name of the source.")


def absolute_source(source: str) -> str:
    """A source that does not depend on where we stand; addresses and hf: names stay."""
    return source if ":" in source else os.path.abspath(os.path.expanduser(source))


def rows_path(name: str) -> str:
    """Where the rows of a dataset that was prepared here are, or of any others, named as in a recipe."""
    prepared = (paths.datasets() / name / TRAIN_FILE).is_file()  # before a folder that is called so too
    elsewhere = ":" in name or (os.path.exists(name) and not prepared)
    return absolute_source(name) if elsewhere else str(datasets.find(name))


def list_all() -> list[Path]:
    """The folders of all preparations in the workspace, newest first."""
    return history.list_jobs(paths.datasets())
