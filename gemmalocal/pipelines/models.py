"""The models that are on this disk, and the published ones, each with whether it fits this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gemmalocal.backends import open_backend
from gemmalocal.errors import BackendUnavailable
from gemmalocal.jobs.events import Event, Finished, Report, Stage
from gemmalocal.pipelines import Commands
from gemmalocal.planning import device_memory, published, suitability
from gemmalocal.planning.device_memory import DeviceMemory
from gemmalocal.planning.memory import EngineProfile
from gemmalocal.planning.published import Model
from gemmalocal.weights import inventory
from gemmalocal.weights.inventory import LocalModel


def run(spec: dict[str, Any], directory: Path, commands: Commands) -> Iterator[Event]:
    """Report on each model; `spec["folders"]` are looked into too."""
    yield Stage("looking at this disk")
    engine = _engine_here()
    on_disk = [_described(model, engine) for model in inventory.on_this_disk(Path(path) for path in spec["folders"])]
    names = {entry["name"] for entry in on_disk}
    on_hub = [_published(model, engine) for model in published.MODELS if model.name not in names]
    yield Report({"memory": engine.memory.total, "of": engine.memory.of, "models": on_disk + on_hub})
    yield Finished("done")


class _Engine(NamedTuple):
    """Where an engine computes, what it has alive there, and its bytes of a weight that is not quantized."""

    memory: DeviceMemory
    profile: EngineProfile
    width: int

    def trains(self, config: dict[str, Any], weights: int) -> suitability.Training:
        return suitability.training(config, weights, self.width, self.memory.usable, self.profile)

    def chats(self, weights: int) -> bool:
        return suitability.chat(weights, self.memory.usable)


def _engine_here() -> _Engine:
    try:
        backend = open_backend("auto")
    except BackendUnavailable:
        expected = device_memory.profile_of(device_memory.engine_of("auto"))
        return _Engine(device_memory.of_engine("auto"), expected, 2)
    return _Engine(backend.device_memory(), backend.memory_profile(), backend.weight_bytes("auto"))


def _described(model: LocalModel, engine: _Engine) -> dict[str, Any]:
    namesake = next((candidate for candidate in published.MODELS if candidate.name == model.name), None)
    entry = {
        "name": model.name,
        "place": model.keeper,
        "path": str(model.path),
        "size": model.size,
        "estimated": False,
        "licence": _licence(model, namesake),
        "template": namesake.template if namesake else "",
        "gated": False,  # it is here
        "damaged": False,
    }
    if model.damage:
        return {**entry, "licence": model.damage, "train": "no", "chat": False, "damaged": True}
    if not model.config:  # how large it is once it is imported, only its tensors tell
        return {**entry, "train": "import", "chat": None}
    weights = model.size
    if "quantization" not in model.config:
        text = model.config.get("text_config") or model.config
        stored = text.get("dtype") or text.get("torch_dtype") or model.config.get("torch_dtype")
        weights = model.size * engine.width // (4 if stored == "float32" else 2)
    return {**entry, "train": engine.trains(model.config, weights), "chat": engine.chats(weights)}


def _licence(model: LocalModel, namesake: Model | None) -> str:
    if namesake:
        return namesake.licence
    return published.licence(str(model.config.get("model_type", "")), model.name).terms


def _published(model: Model, engine: _Engine) -> dict[str, Any]:
    weights = model.download if model.converted else model.size.text * engine.width
    return {
        "name": model.name,
        "place": None,
        "path": None,
        "size": model.download,
        "estimated": model.estimated,
        "licence": model.licence,
        "template": model.template,
        "gated": model.gated,
        "damaged": False,
        "train": engine.trains(model.size.config, weights),
        "chat": engine.chats(weights),
    }
