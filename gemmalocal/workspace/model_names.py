"""What models are called: those that are made here, and those of the Hub."""

from __future__ import annotations

import re
from pathlib import Path

from gemmalocal.errors import RecipeError
from gemmalocal.files import paths


def proposed(source: str) -> str:
    """A name for recipes, out of a file's or of Ollama's; it may be taken, or empty."""
    return re.sub(r"[^\w.-]+", "-", source).strip("-.")


def free(name: str) -> Path:
    """The folder of a model that is to be made; raises `RecipeError` for no name, and for one that is taken."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise RecipeError(f"'{name}' cannot be a model's name.", "Use letters, digits, '-', '_' and '.'.")
    folder = paths.models() / name
    if folder.exists():
        raise RecipeError(f"There is a model '{name}' already.", f"Give another --name, or delete {folder}.")
    return folder


def on_hub(name: str) -> str:
    """A name on the Hub; raises `RecipeError` for what cannot be one."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.ASCII):
        raise RecipeError(f"'{name}' cannot be a name on the Hub.", "Give it as owner/name.")
    return name


def page(name: str) -> str:
    """Where a model's terms are read and accepted."""
    return f"https://huggingface.co/{name}"
