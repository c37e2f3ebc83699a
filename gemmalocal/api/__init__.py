"""gemmalocal from Python: the third front end, beside the command line and the app.

    import gemmalocal

    run = gemmalocal.train("quotes", steps=50).wait()
    print(run.best, run.ask("The only way to do great work"))
    print(run.report())

Like the other two it only begins and watches jobs: each works in a process of its own, lives on without us, and no
engine is loaded here. What goes wrong is raised as one of `gemmalocal.errors`: a sentence, and a remedy as its `hint`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gemmalocal.api import errands
from gemmalocal.api.answers import Answer
from gemmalocal.api.conversation import Conversation
from gemmalocal.api.handles import Dataset, Handle, Run
from gemmalocal.api.results import Check, Exported, Model, Report
from gemmalocal.jobs import history
from gemmalocal.workspace import datasets as known_datasets
from gemmalocal.workspace import preparations, reports
from gemmalocal.workspace import runs as known_runs

# What they give; the functions themselves are listed in gemmalocal/__init__.py.
__all__ = ["Answer", "Check", "Conversation", "Dataset", "Exported", "Handle", "Model", "Report", "Run"]

Recipe = str | Path | Mapping[str, Any]  # a file, the name of one that comes along, or nested keys


def train(recipe: Recipe, *, name: str | None = None, **changes: Any) -> Run:
    """Begin a run, and come back at once; `wait()` on what is returned.

    `recipe` is a file, the name of one that comes along ("quotes"), or its keys as nested dictionaries. `changes` are
    keys by their last word (`steps=50`) or whole (`lora__rank=32`). `name` is the run's; if left out, the recipe's and
    a number. Raises `RecipeError` with all that is wrong, and `JobBusy`.
    """
    loaded = errands.recipe(recipe, changes)
    stem = "run" if isinstance(recipe, Mapping) else Path(recipe).stem
    return Run.of_job(known_runs.begin(loaded, name, stem))


def resume(run: str | Path | Handle, **changes: Any) -> Run | Dataset:
    """Go on with a run that ended too soon, from its newest checkpoint, or with a dataset; come back at once.

    `changes` are keys that may change, such as `steps` of a run that is to go on for longer. Raises `RecipeError`,
    `JobBusy`, `UnknownRun`.
    """
    folder = _folder(run)
    wanted = errands.by_full_name(changes)
    job = known_runs.resume(folder, [f"{key}={json.dumps(value)}" for key, value in wanted.items()])
    return Run.of_job(job) if history.kind(folder) == "train" else Dataset.of_job(job)


def prepare(*sources: str | Path, to: str, password: str | None = None, **options: Any) -> Dataset:
    """Begin to make a dataset of documents or rows, or go on with it, and come back at once.

    `sources` are files, folders, globs, hf:OWNER/NAME or youtube:ID; `to` is the dataset's name, or a folder.
    `options` are the keys of a preparation: `task="summary"`, `author="rules"`, `rows=200`; `endpoint` may be a
    server's address alone. Raises `RecipeError`, `DatasetError`, `JobBusy`.
    """
    if isinstance(options.get("endpoint"), str):
        options["endpoint"] = {"url": options["endpoint"]}
    preparation = errands.preparation({"sources": [str(source) for source in sources], **options})
    return Dataset.of_job(preparations.begin(to, preparation, password))


def check(recipe: Recipe, **changes: Any) -> Check:
    """What a recipe would train on, how long it takes and whether it fits; no weights are loaded.

    Arguments as those of `train`.
    """
    return Check(errands.answer("check", errands.recipe(recipe, changes).model_dump(mode="json")))


def report(run: str | Path | Run, **wishes: Any) -> Report:
    """Whether a run helped: measured, or gone on with, and waited for; arguments as those of `Run.report`."""
    return Run(_folder(run)).report(**wishes)


def compare(*compared: str | Path | Run, rows: int | None = None) -> dict[str, Any]:
    """Several runs of one base by their losses on the held-out rows of the first, the best one first."""
    folders = [_folder(run) for run in compared]
    return errands.waited(reports.compare(folders, rows), remove=True)


def export(run: str | Path | Run, to: str = "adapter", **details: Any) -> Exported:
    """Export a run and prove that the export kept what was learned; see `Run.export`."""
    return Run(_folder(run)).export(to, **details)


def chat(
    *asked: str | Path | Run, base: bool = True, tools: Sequence[Mapping[str, Any]] = (), **sampling: Any
) -> Conversation:
    """The base model and runs, to be asked side by side; the newest run if none is named.

    It holds a model in memory until it is closed: use it in a `with` statement. `sampling` are temperature, top_p,
    top_k, seed, max_tokens. `tools`, as OpenAI has them, may be called: calls stand in an answer's `calls`, nothing is
    run, and `Conversation.answer` takes what they answer. Raises `UnknownRun`, `RecipeError` and `UsageFault`.
    """
    names = [str(run.folder) if isinstance(run, Handle) else str(run) for run in asked]
    return Conversation(names, base, sampling, tools)


def run(name: str | Path) -> Run:
    """A run by its name or folder; raises `UnknownRun`."""
    return Run(_folder(name))


def dataset(name: str | Path) -> Dataset:
    """A dataset that was prepared, by its name or folder; raises `DatasetError`."""
    return Dataset(known_datasets.find(str(name)))


def runs() -> list[Run]:
    """All runs of the workspace, newest first."""
    return [Run(folder) for folder in history.list_runs()]


def datasets() -> list[Dataset]:
    """All datasets of the workspace, newest first."""
    return [Dataset(folder) for folder in preparations.list_all()]


def models(*folders: str | Path) -> list[Model]:
    """The models on this disk, and those that can be downloaded, with whether they fit; the network is not asked.

    `folders` are looked into too.
    """
    told = errands.answer("models", {"folders": [str(Path(folder).resolve()) for folder in folders]})
    return [Model.of_entry(entry) for entry in told["models"]]


def _folder(run: str | Path | Handle) -> Path:
    return run.folder if isinstance(run, Handle) else history.find_run(str(run))
