"""What there is beside the runs: datasets, models, recipes and the trash, as home's tabs show them. Reads files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.content import Content

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import paths, safe_read, staging
from gemmalocal.files.sizes import gigabytes
from gemmalocal.jobs import history
from gemmalocal.jobs.processes import Job
from gemmalocal.workspace import datasets, preparations
from tui.screens.recipes import known_recipes
from tui.screens.trash_shelf import trash_items
from tui.theme import state
from tui.widgets.shelf_table import Item

if TYPE_CHECKING:
    from tui.screens.pick import Offers

Shelf = tuple[tuple[str, ...], list[Item]]  # names of the columns, and the items


def dataset_items() -> Shelf:
    """Datasets that were prepared here, or are just now, the newest first; the key is the folder."""
    return ("Dataset", "Rows", "State", "From"), [_dataset(folder) for folder in preparations.list_all()]


def _dataset(folder: Path) -> Item:
    alive = Job(folder).alive
    report = _report(folder)
    sides = [report.get(side) for side in ("train", "held_out")]
    counts = [side.get("rows", 0) if isinstance(side, dict) else 0 for side in sides]
    sources = history.known_spec(folder).get("sources")
    names = ", ".join(Path(str(source)).name for source in sources) if isinstance(sources, list) else ""
    status = "live" if alive else "done" if report else "stopped"
    words = {"live": "being made", "done": "ready", "stopped": "not whole"}[status]
    rows = f"{sum(counts):,}" if report else ""
    author = str(report.get("author", ""))
    about = [("state", f"{state(status).sign} {words}"), ("rows", f"{counts[0]:,} to train on, {counts[1]:,} held out")]
    about += [("from", names), ("written by", author), ("in", paths.shortened(folder))]
    return Item(
        str(folder),
        (folder.name, rows, f"{state(status).sign} {words}", names),
        tuple((label, words) for label, words in about if words),
    )


def _report(folder: Path) -> dict[str, Any]:
    try:
        return datasets.report(folder)
    except (GemmalocalError, OSError):
        return {}


def model_items() -> Shelf:
    """Models that were made here, and those that runs were tuned from; the key is the name."""
    made = [folder for folder in safe_read.entries(paths.models()) if safe_read.is_file(folder / "config.json")]
    items = [
        Item(
            folder.name,
            (folder.name, f"{gigabytes(staging.tree_bytes(folder), 2)} GB", "made here"),
            (("in", paths.shortened(folder)),),
        )
        for folder in made
    ]
    used = dict.fromkeys(history.word(history.known_spec(run), "model") for run in history.list_runs())
    known = {folder.name for folder in made} | {str(folder) for folder in made}
    others = [name for name in used if name not in known and name != "?"]
    return ("Model", "Size", ""), items + [
        Item(name, (Path(name).name, "", "a run was tuned from it")) for name in others
    ]


def recipe_items() -> Shelf:
    """Shipped recipes, those of this folder, and those of the newest runs; the key is the file."""
    items = [Item(str(path), (name, words), (("for", words),)) for name, words, path in known_recipes()]
    return ("Recipe", "For"), items


SHELVES: dict[str, Callable[[], Shelf]] = {
    "Datasets": dataset_items,
    "Models": model_items,
    "Recipes": recipe_items,
    "Trash": trash_items,
}
NOTHING = {
    "Datasets": "No datasets yet. d makes rows out of your documents.",
    "Models": "No models here yet. m shows those that can be downloaded.",
    "Recipes": "No recipes.",
    "Trash": "The trash is empty. What is deleted stays here for 30 days.",
}


def offered_rows() -> Offers:
    """The rows there are, to choose among."""
    from gemmalocal.workspace import rows  # pydantic: not at the app's start

    return [(Content.assemble((name.ljust(18), "bold"), words), source) for name, words, source in rows.offers()]
