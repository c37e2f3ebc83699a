"""Rows as a front end looks at them: which there are, and the recipe by which each is read as it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemmalocal.errors import DatasetError, GemmalocalError
from gemmalocal.files import paths, safe_read
from gemmalocal.jobs import history
from gemmalocal.records import TRAIN_FILE
from gemmalocal.workspace import datasets, preparations

DEMO = "gemma-3-270m-demo"
PAST = 8  # newest runs whose rows are offered
RECIPES = (".yaml", ".yml")


@dataclass(frozen=True)
class View:
    """Rows and the spec of the job (kind `rows`) that reads them.

    `folder` is the dataset if the rows were prepared here, and so are ours to change; else None. `recipe` is the file
    that they were named by, if they were.
    """

    name: str
    spec: dict[str, Any]
    folder: Path | None
    recipe: Path | None = None

    @property
    def model(self) -> str:
        """Whose tokens they are shown in."""
        return str(self.spec["model"])


def view(source: str) -> View:
    """The rows that `source` means: a recipe's file, a run's folder, a dataset's name or folder, or as in `data.path`.

    A prepared dataset is read as the newest run on it did, else for the model that it was made with; other rows for
    the newest run's model. Raises `RecipeError`, `DatasetError`.
    """
    place = paths.expanded(source)
    if place.suffix in RECIPES:
        from gemmalocal.recipe import recipe_file  # pydantic

        return _view(place.stem, recipe_file.load(str(place)).model_dump(mode="json"), place)
    if safe_read.is_file(place / "job.json") and history.kind(place) == "train":
        return _view(place.name, history.spec(place), place / "recipe.yaml")
    for folder in (place, paths.datasets() / source):
        if datasets.ours(folder):
            return _prepared(folder.resolve())
    path = preparations.absolute_source(source)
    if ":" not in path and not Path(path).exists():
        raise DatasetError(f"There are no rows at {path}.", "Name a file, a folder, or hf:owner/name.")
    model = next((str(spec["model"]) for _, spec in _past()), DEMO)
    return _view(Path(path).name, _spec(path, model))


def offers() -> list[tuple[str, str, str]]:
    """Rows to choose among: name, what they are, and the `source` for `view`. Datasets first, then recipes and runs."""
    from gemmalocal.recipe import recipe_file

    prepared = [
        (folder.name, f"prepared from {_sources(folder)}", str(folder))
        for folder in preparations.list_all()
        if safe_read.is_file(folder / TRAIN_FILE)
    ]
    shipped = [
        (name, f"recipe: {recipe_file.parse(file)['data']['path']}", str(file))
        for name, file in recipe_file.builtin_recipes().items()
    ]
    runs = [(folder.name, f"run: {named(spec['data']['path'])}", str(folder)) for folder, spec in _past()]
    return prepared + shipped + runs


def _view(name: str, spec: dict[str, Any], recipe: Path | None = None) -> View:
    path = spec["data"]["path"]
    folder = Path(path) if isinstance(path, str) and datasets.ours(Path(path)) else None
    return View(name, spec, folder, recipe if recipe is not None and safe_read.is_file(recipe) else None)


def named(path: str | list[Any]) -> str:
    """The rows of a recipe in a word: the last part of their path, of several the first's and how many more."""
    if isinstance(path, str):
        return Path(path).name
    first = path[0]["path"] if isinstance(path[0], dict) else str(path[0])
    return f"{Path(first).name}{f' and {len(path) - 1} more' if len(path) > 1 else ''}"


def _prepared(folder: Path) -> View:
    on_it = (spec for _, spec in _past() if spec["data"]["path"] == str(folder))
    return View(folder.name, next(on_it, _spec(str(folder), _author(folder))), folder)


def _spec(path: str, model: str) -> dict[str, Any]:
    """The shortest recipe that reads these rows."""
    return {"model": model, "data": {"path": path}, "train": {"epochs": 1}}


def _past() -> list[tuple[Path, dict[str, Any]]]:
    """The newest runs and their recipes; one whose recipe cannot be read is passed over."""
    runs = []
    for folder in history.list_runs()[:PAST]:
        try:
            spec = history.spec(folder)
            if isinstance(spec["model"], str) and isinstance(spec["data"]["path"], str | list):
                named(spec["data"]["path"])
                runs.append((folder, spec))
        except (GemmalocalError, LookupError, TypeError):
            continue
    return runs


def _sources(folder: Path) -> str:
    sources = history.known_spec(folder).get("sources")
    return ", ".join(Path(str(source)).name for source in sources) if isinstance(sources, list) else "?"


def _author(folder: Path) -> str:
    """The model that a dataset was made with, as far as it is known."""
    model = history.word(history.known_spec(folder), "model")
    return DEMO if model == "?" else model
