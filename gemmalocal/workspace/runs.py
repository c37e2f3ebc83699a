"""Training runs as a front end handles them: begin, resume, delete, and one value that says how a run is."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemmalocal.errors import GemmalocalError, JobBusy, RecipeError
from gemmalocal.files import atomic, paths, safe_read, staging, targets
from gemmalocal.jobs import history, processes
from gemmalocal.jobs.history import JobState
from gemmalocal.jobs.plurals import counted, plural
from gemmalocal.workspace import exports, preparations, reports, trash
from gemmalocal.workspace.labels import Labels

if TYPE_CHECKING:  # pydantic is only loaded when a recipe is read
    from gemmalocal.recipe.schema import Recipe

MEMORY = ("train.micro_batch", "train.checkpointing")  # change nothing that is learned
LONGER = ("train.steps", "train.epochs", "train.minutes", "train.early_stop")  # also of a run that has finished
CHANGEABLE = (*MEMORY, *LONGER)
RECIPE = "recipe.yaml"  # in a run's folder: what it trains by, to begin another by; after a search the winner's alone
SEARCHED = "searched.yaml"  # beside that, once a search has chosen: the recipe with the search, as it was begun


@dataclass(frozen=True)
class Run:
    """A run as it was when looked at: `at` is when its events last changed (seconds since the epoch).

    `trouble` says why it did not come to a good end; None if it did, or lives. `verdict` is what its newest report says
    of it, empty if there is none. One that is `stopping` lives, and was asked to end. `labels` are what a person says.
    One that is not `whole` was only glanced at: `state` knows how it stands, and no more than its newest events.
    """

    folder: Path
    spec: dict[str, Any]
    state: JobState
    trouble: GemmalocalError | None
    at: float
    verdict: str = ""
    stopping: bool = False
    labels: Labels = Labels()
    whole: bool = True

    @property
    def name(self) -> str:
        """The run's name, which is its folder's."""
        return self.folder.name

    @property
    def resumable(self) -> bool:
        """Whether there is something left to train."""
        return self.state.status not in ("live", "done", "early", "damaged")

    @property
    def answers(self) -> bool:
        """Whether it has learned something that can be asked: its result, or a checkpoint on the way there."""
        return history.result(self.folder).is_dir() or (self.state.saved is not None and self.state.saved.step > 0)


def begin(recipe: Recipe, name: str | None = None, stem: str = "run") -> processes.Job:
    """Start a run by `recipe`, called `name`, or else `stem` and a number; raises `RecipeError`, `JobBusy`."""
    for aside in staging.in_folder(paths.runs()):  # of runs that were being deleted
        if aside.abandoned:
            aside.settle()
    trash.tidy()
    folder = _folder(name or _next_name(stem))
    job = processes.start(folder, "train", recipe.model_dump(mode="json"))
    try:
        _keep(recipe, folder)
    except OSError:  # it could not be shown, nor changed: let nobody wait for it
        job.kill()
        raise
    return job


def resume(folder: Path, overrides: Sequence[str] = ()) -> processes.Job:
    """Go on from the newest checkpoint, or with a dataset; the job reads from where its events stand now.

    Raises `GemmalocalError` if the run has finished, `RecipeError` for what cannot change, `JobBusy` if it lives.
    """
    kind = history.kind(folder)
    if overrides and kind != "train":
        raise RecipeError(f"{folder.name} is not a training run: it has no keys to set.", "Leave --set out.")
    changed = _changed(folder, overrides)
    if kind == "train":
        _check_goes_on(folder, changed, {item.partition("=")[0].strip() for item in overrides})
    spec = changed.model_dump(mode="json") if changed else history.spec(folder)
    if kind == "prepare" and isinstance(spec.get("sources"), list):  # before the job looks for the model
        preparations.check_sources(list(map(str, spec["sources"])))
    old = processes.Job(folder)
    old.skip()
    job = processes.start(folder, kind, spec)
    job.skip_to(old)
    if changed:
        _keep(changed, folder)
    return job


def delete(folder: Path) -> trash.Entry:
    """Move a run, or a dataset, with all that is in it to the trash; raises `JobBusy` if it lives."""
    _check_idle(folder)
    return trash.put(folder)


def rename(folder: Path, name: str) -> Path:
    """Give a run that nobody works on another name; gives its folder. Raises `RecipeError`, `JobBusy`."""
    target = folder.with_name(checked(name.strip()))
    if target == folder:
        return folder
    if os.path.lexists(target):
        raise RecipeError(f"There is a run '{target.name}' already.", "Choose another name.")
    _check_idle(folder)
    folder.rename(target)
    return target


def tuned_by(name: str) -> tuple[Path, int | None] | None:
    """The run, and the step, that NAME or NAME@STEP means where a model may stand; None where it means a model."""
    before, _, step = name.rpartition("@")
    names: list[tuple[str, int | None]] = [(name, None)]
    names += [(before, int(step))] if before and step.isdecimal() else []
    for run, number in names:
        folder = paths.runs() / run
        if run and safe_read.is_file(folder / "job.json") and history.kind(folder) == "train":
            return folder, number
    return None


def base_of(name: str) -> str:
    """The model that a model or a run is, or tuned."""
    tuned = tuned_by(name)
    return name if tuned is None else str(history.spec(tuned[0])["model"])


def _check_idle(folder: Path) -> None:
    if processes.Job(folder).alive or exports.busy(folder) or reports.busy(folder):
        raise JobBusy(f"{folder.name} is running, or is being exported or reported on.", "Stop it first.")


def _changed(folder: Path, overrides: Sequence[str]) -> Recipe | None:
    """A run's recipe with what may change in its midst: how much memory it takes, and how long it trains."""
    for item in overrides:
        if (key := item.partition("=")[0].strip()) not in CHANGEABLE:
            raise RecipeError(
                f"{key} cannot change in the middle of a run.",
                f"Only {', '.join(CHANGEABLE)} can. For anything else begin a new run: "
                f"gemmalocal train {folder / RECIPE} --set {item}",
            )
    if not overrides:
        return None
    from gemmalocal.recipe import recipe_file

    return recipe_file.load(str(folder / RECIPE), overrides)


def _check_goes_on(folder: Path, changed: Recipe | None, keys: set[str]) -> None:
    """Raise `GemmalocalError` if a run has nothing left to train, also with what changed."""
    state = history.read(folder)
    trained = state.steps[-1].step if state.steps else 0
    longer = changed if changed and keys.intersection(LONGER) else None
    if state.status in ("done", "early") and longer is None:
        result = history.result(folder)
        more = f"gemmalocal resume {folder.name} --set {_twice(history.known_spec(folder), trained)}"
        if state.status == "early":
            more = f"gemmalocal resume {folder.name} --set train.early_stop=null"
        raise GemmalocalError(
            f"{folder.name} has finished already.",
            f"Its {result.name}: {result}. For more: {more}\nWith new rows begin a run with start_from: {folder.name}",
        )
    if longer is None:
        return
    if longer.train.steps is not None and longer.train.steps <= trained and state.status != "early":
        raise RecipeError(
            f"{folder.name} has trained {counted(trained, 'step')}; train.steps={longer.train.steps} is not more.",
            "Give the number of steps in all.",
        )
    before = _minutes(history.known_spec(folder))
    if longer.train.minutes is not None and longer.train.minutes <= before and state.status == "done":
        raise RecipeError(
            f"{folder.name} has had its {before:g} {plural(before, 'minute')}; "
            f"train.minutes={longer.train.minutes:g} is not more.",
            "Give the minutes in all.",
        )
    if state.status == "early" and "train.early_stop" not in keys:
        raise RecipeError(
            f"{folder.name} stopped early, at step {trained}: nothing was better for long enough.",
            "To go on all the same, give train.early_stop=null, or a larger number, too.",
        )


def _minutes(spec: dict[str, Any]) -> float:
    """The time that a run was given, 0 where its steps were counted."""
    train = spec.get("train")
    minutes = train.get("minutes") if isinstance(train, dict) else None
    return minutes if isinstance(minutes, int | float) else 0.0


def _twice(spec: dict[str, Any], trained: int) -> str:
    """The setting of a run that is to train for twice as long."""
    minutes = _minutes(spec)
    return f"train.minutes={2 * minutes:g}" if minutes else f"train.steps={2 * max(1, trained)}"


def _keep(recipe: Recipe, folder: Path) -> None:
    from gemmalocal.recipe import recipe_file

    atomic.write_text(folder / RECIPE, recipe_file.dump(recipe))


def checked(name: str) -> str:
    """A name that a run can have; raises `RecipeError`."""
    if len(name.encode(errors="replace")) > targets.LONGEST:
        raise RecipeError(f"'{name[:40]}...' is too long for a run's name.", f"Use at most {targets.LONGEST} bytes.")
    if not re.fullmatch(r"[\w][\w.-]*", name):
        raise RecipeError(f"'{name}' cannot be a run's name.", "Use letters, digits, '-', '_' and '.'.")
    return name


def _folder(name: str) -> Path:
    folder = paths.runs() / checked(name)
    if (folder / "events.jsonl").exists():
        raise RecipeError(f"There is a run '{name}' already.", f"Give --name, or: gemmalocal resume {name}")
    return folder


def _next_name(stem: str) -> str:
    stem = re.sub(r"[^\w.-]", "-", stem)
    number = 1
    while (paths.runs() / f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"
