"""Whom a report asks: the run, or an export of it, and beside it the base, the run that it started from, or another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gemmalocal.backends import convert_adapter, peft_adapter
from gemmalocal.engine.generation import ChatModel
from gemmalocal.errors import GemmalocalError, RecipeError
from gemmalocal.export import gguf_adapter, proved
from gemmalocal.files import hashes
from gemmalocal.files.manifest import sha256
from gemmalocal.jobs import history
from gemmalocal.jobs.events import Event, Notice, Stage
from gemmalocal.pipelines.shared import start_from
from gemmalocal.pipelines.shared.background import in_background
from gemmalocal.pipelines.shared.chat_models import engine_of, load_chat_models
from gemmalocal.pipelines.shared.report_measure import Model
from gemmalocal.recipe.schema import Recipe
from gemmalocal.weights import gguf_file
from gemmalocal.weights.locate import locate
from gemmalocal.workspace.reports import BASE, Wish


class Named(NamedTuple):
    """A model as the page calls it, as `load_chat_models` takes it, and the folder that holds what it learned."""

    name: str
    entry: dict[str, Any]
    result: Path | None = None


@dataclass(frozen=True)
class Models:
    """All that are asked, the tuned one in the second place, and whom that is held against: names and places."""

    models: list[Model]
    against: list[tuple[str, int]]

    @property
    def speaker(self) -> ChatModel:
        """The tuned model, whose tokenizer and layout the rows have."""
        return self.models[1].speaker


def several(folders: Sequence[Path]) -> Generator[Event, None, Models]:
    """The base of the first run, and what each run made."""
    named = [_base(folders[0]), *(_of_run(folder) for folder in folders)]
    return Models((yield from _loaded(named, folders[0])), [(BASE, 0)])


def of_run(folder: Path, wish: Wish, scratch: Path) -> Generator[Event, None, Models]:
    """What a report on one run asks; in `scratch` lies what must be read otherwise than it is stored.

    Raises `RecipeError` for a run of another base or an export that is not there.
    """
    recipe = Recipe.model_validate(history.spec(folder))
    tuned = _of_run(folder)
    if wish.form:
        yield Stage(f"reading the export {wish.form}")
        tuned = yield from in_background(lambda tell: _exported(folder, recipe, str(wish.form), scratch))
    if wish.against is None:
        start = yield from _start(folder, recipe, scratch)
        named = [_base(folder), tuned, *([start] if start else [])]
        against = [(start.name, 2), (BASE, 0)] if start else [(BASE, 0)]
    elif wish.against == BASE:
        named, against = [_base(folder), tuned], [(BASE, 0)]
    else:
        other = _other(folder, Path(wish.against), bool(wish.form))
        named, against = [other, tuned], [(other.name, 0)]
    return Models((yield from _loaded(named, folder)), against)


def _loaded(named: Sequence[Named], run: Path) -> Generator[Event, None, list[Model]]:
    speakers = yield from load_chat_models(
        [{**one.entry, "name": f"{one.name} ({place})"} for place, one in enumerate(named)]
    )
    recipe = Recipe.model_validate(history.spec(run))
    base: Path = yield from in_background(lambda tell: locate(recipe.model, tell))
    read_as = recipe.weight_dtype, recipe.bits
    return [
        Model(speaker, _digest(read_as, hashes.weight_stamps(base), *([_learned(one.result)] if one.result else [])))
        for speaker, one in zip(speakers, named, strict=True)
    ]


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _learned(result: Path) -> object:
    """The hash of an adapter; of a whole model its stamps, with its folder's, as it may be a GGUF."""
    adapter = result / peft_adapter.WEIGHTS
    if adapter.is_file():
        return sha256(adapter)
    files = [file for file in sorted(result.iterdir()) if file.suffix in (".gguf", ".safetensors")]
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def _base(run: Path) -> Named:
    return Named(BASE, {"run": str(run), "base": True})


def _of_run(run: Path) -> Named:
    return Named(run.name, {"run": str(run)}, history.result(run))


def _other(run: Path, other: Path, exported: bool) -> Named:
    """Another run of the same base; a run itself only where an export of it is asked."""
    if other.resolve() == run.resolve() and not exported:
        raise RecipeError(f"{run.name} cannot be held against itself.", "Name another run, or --form for an export.")
    bases = [Recipe.model_validate(history.spec(folder)).model for folder in (run, other)]
    if bases[0] != bases[1]:
        names = " and ".join(Path(base).name for base in bases)
        raise RecipeError(f"{run.name} and {other.name} have different base models: {names}.", "Name a run of one.")
    if not history.result(other).is_dir():
        raise RecipeError(f"{other.name} has made nothing yet.", "Name a run that has.")
    return _of_run(other)


def _start(run: Path, recipe: Recipe, scratch: Path) -> Generator[Event, None, Named | None]:
    """What a run started from; None if that was the base, or is gone, which is told."""
    if recipe.start_from is None:
        return None
    name = Path(recipe.start_from).name
    try:
        folder = start_from.adapter_folder(recipe.start_from)
        readable = yield from in_background(lambda tell: _as_peft(folder, recipe, scratch / "start"))
    except GemmalocalError as error:
        yield Notice(f"what the run started from ({name}) cannot be asked: {error.message} It is held against the base")
        return None
    return Named(name, {"run": str(run), "adapter": str(readable)}, folder)


def _as_peft(adapter: Path, recipe: Recipe, scratch: Path) -> Path:
    """The folder of an adapter in PEFT's layout."""
    if not convert_adapter.is_mlx(adapter):
        return adapter
    base = locate(recipe.model, lambda *progress: None)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    convert_adapter.to_peft(adapter, config, recipe.model, scratch)
    return scratch


def _exported(run: Path, recipe: Recipe, form: str, scratch: Path) -> Named:
    """An export of a run, read as its proof reads it: a GGUF as `gguf` undoes its quantization."""
    folder = proved.find(run, form, failed=True)
    if folder is None:
        raise proved.missing(run, form)
    name = f"{run.name} as {folder.name}"
    if folder.name == "gguf-adapter":
        readable = gguf_adapter.to_peft(next(folder.glob("*.gguf")), recipe.model, scratch / "adapter")
        return Named(name, {"run": str(run), "adapter": str(readable)}, folder)
    if folder.name.endswith("adapter"):
        readable = _as_peft(folder, recipe, scratch / "adapter")
        return Named(name, {"run": str(run), "adapter": str(readable)}, folder)
    engine, model = engine_of(recipe), folder
    if file := next(folder.glob("*.gguf"), None):
        model = gguf_file.to_folder(file, scratch / "model", lambda *progress: None, {})
    elif _is_quantized(folder):
        engine = "mlx"  # no other engine reads it
    return Named(name, {"run": str(run), "export": str(model), "engine": engine}, folder)


def _is_quantized(folder: Path) -> bool:
    return "quantization" in json.loads((folder / "config.json").read_text(encoding="utf-8"))
