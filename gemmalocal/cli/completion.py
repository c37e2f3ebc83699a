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


def models(context: click.Context, parameter: click.Parameter, typed: str) -> Completions:
    """Models that were fetched, then published ones; files where none begins like that."""
    from gemmalocal.planning import published

    here = [folder.name for folder in safe_read.entries(paths.models()) if folder.is_dir()]
    names = [*here, *(model.name for model in published.MODELS)]
    return _beginning(typed, dict.fromkeys(names)) or files(context, parameter, typed)


def keys(context: click.Context, parameter: click.Parameter, typed: str) -> Completions:
    """Keys of a recipe, as --set takes them, with what each is for; behind the equals sign, the words it may be."""
    from gemmalocal.recipe import key_help

    key, equals, value = typed.partition("=")
    if not equals:
        return [
            CompletionItem(f"{name}=", help=about)
            for name, about in key_help.descriptions().items()
            if name.startswith(key)
        ]
    return [CompletionItem(f"{key}={word}") for word in key_help.words(key) if word.startswith(value)]


def _beginning(typed: str, names: Iterable[str]) -> Completions:
    return [CompletionItem(name) for name in names if name.startswith(typed)]
