"""What the shell may offer for an argument: names of the workspace, else files. Nothing here ever fails aloud."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from gemmalocal.errors import GemmalocalError
from gemmalocal.files import paths, safe_read
from gemmalocal.jobs import history
from gemmalocal.records import TRAIN_FILE

Completions = list[CompletionItem]


def files(context: click.Context, parameter: click.Parameter, typed: str) -> Completions:
    """Files and folders, as the shell finds them."""
    return [CompletionItem(typed, type="file")]


def runs(context: click.Context, parameter: click.Parameter, typed: str) -> Completions:
    """Runs, the newest first."""
    try:
        return _beginning(typed, [folder.name for folder in history.list_runs()])
    except (GemmalocalError, OSError):
        return []


def recipes(context: click.Context, parameter: click.Parameter, typed: str) -> Completions:
    """Recipes that come along; files where none begins like that."""
    from gemmalocal.recipe import recipe_file

    return _beginning(typed, recipe_file.builtin_recipes()) or files(context, parameter, typed)


def datasets(context: click.Context, parameter: click.Parameter, typed: str) -> Completions:
    """Datasets that were prepared here; files where none begins like that."""
    try:
        folders = [folder for folder in safe_read.entries(paths.datasets()) if (folder / TRAIN_FILE).is_file()]
        names = sorted(folder.name for folder in folders)
    except (GemmalocalError, OSError):
        names = []
    return _beginning(typed, names) or files(context, parameter, typed)


def runs_or_files(context: click.Context, parameter: click.Parameter, typed: str) -> Completions:
    """Runs; files where none begins like that."""
    return runs(context, parameter, typed) or files(context, parameter, typed)


def _beginning(typed: str, names: Iterable[str]) -> Completions:
    return [CompletionItem(name) for name in names if name.startswith(typed)]
